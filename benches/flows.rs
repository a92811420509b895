//! What a task of a flow costs besides its work: 10,000 tasks that do nothing, through a pool of 8 slots, each recorded in the ledger; and the same
//! while somebody is told of every event.
//!
//! ```text
//! cargo bench --bench flows -- [TASKS]
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gristmill::flow::{Flow, Plan, Runner, State, Task};
use gristmill::prelude::*;

/// The result of everything here: a bench reports its errors and ends.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SLOTS: usize = 8;

/// Tasks in layers of a hundred, of which each waits for two of the layer before.
fn flow(tasks: usize) -> Flow {
    const WIDTH: usize = 100;
    let mut flow = Flow::new("many").pool("small", SLOTS);
    for index in 0..tasks {
        let mut task = Task::job(format!("t{index}"), |_| Ok(())).pool("small");
        if index >= WIDTH {
            task = task
                .after(format!("t{}", index - WIDTH))
                .after(format!("t{}", index - WIDTH + 1 - WIDTH * (index % WIDTH / (WIDTH - 1))));
        }
        flow = flow.add(task);
    }
    flow
}

fn main() -> Outcome<()> {
    let asked = std::env::args().skip(1).find(|arg| arg != "--bench");
    let tasks: usize = asked.map_or(Ok(10_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let flow = flow(tasks);
    let start = Instant::now();
    let plan = Plan::new(&flow, [("", ""); 0])?;
    println!("{tasks} tasks are checked in {:.3} s", start.elapsed().as_secs_f64());
    let runner = Runner::open(dir.path().join("ledger.sqlite"))?.context(Context::new()?).workers(SLOTS);
    let seconds = timed(&runner, plan.clone())?;
    println!("they run in {seconds:.3} s: {:.3} ms a task", seconds * 1000.0 / tasks as f64);
    let events = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&events);
    let watched = Runner::open(dir.path().join("watched.sqlite"))?.context(Context::new()?).workers(SLOTS);
    let watched = watched.on_event(move |event| {
        let _ = std::hint::black_box(event.clone());
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let seconds = timed(&watched, plan)?;
    let (events, each) = (events.load(Ordering::Relaxed), seconds * 1000.0 / tasks as f64);
    println!("with a listener that is told {events} events in {seconds:.3} s: {each:.3} ms a task");
    let start = Instant::now();
    runner.run(Plan::new(&flow, [("", ""); 0])?)?;
    println!("a second run finds them complete in {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The seconds that a run takes, which must succeed.
fn timed(runner: &Runner, plan: Plan) -> Outcome<f64> {
    let start = Instant::now();
    let ran = runner.run(plan)?;
    if ran.state != State::Succeeded {
        return Err(format!("the run has {}", ran.state).into());
    }
    Ok(start.elapsed().as_secs_f64())
}
