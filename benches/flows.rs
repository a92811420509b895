//! What a task of a flow costs besides its work: 10,000 tasks that do nothing, through a pool of 8 slots, each recorded in the ledger.
//!
//! ```text
//! cargo bench --bench flows -- [TASKS]
//! ```

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
    let start = Instant::now();
    let ran = runner.run(plan)?;
    let seconds = start.elapsed().as_secs_f64();
    if ran.state != State::Succeeded {
        return Err(format!("the run has {}", ran.state).into());
    }
    println!("they run in {seconds:.3} s: {:.3} ms a task", seconds * 1000.0 / tasks as f64);
    let start = Instant::now();
    runner.run(Plan::new(&flow, [("", ""); 0])?)?;
    println!("a second run finds them complete in {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}
