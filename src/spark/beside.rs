//! What tasks leave beside what they deliver, as frames: they go to the driver, as summaries do, so that of all tries of a task those come that Spark counts.

use super::frame::{BESIDE, Head};
use super::link::broken;
use crate::error::Result;
use crate::exec::beside::Beside;
use crate::exec::job::Order;
use crate::exec::task::Run;

/// Frames with what they belong to.
type Frames = Vec<(Head, Vec<u8>)>;

/// Hands on what the tasks of this process have left, the first of which was of this split.
///
/// # Errors
///
/// If it cannot travel, or `send` fails.
pub fn pack(run: &Run, split: usize, send: &mut dyn FnMut(Head, &[u8]) -> Result<()>) -> Result<()> {
    for (cell, beside) in run.beside.iter().enumerate() {
        for (batch, frames) in beside.pack(run)?.iter().enumerate() {
            for (number, frame) in frames.iter().enumerate() {
                send(Head { batch, number, ..head(cell, split) }, frame)?;
            }
        }
    }
    Ok(())
}

/// Takes what the tasks of a stage have left, and leaves the frames that are for terminals.
///
/// # Errors
///
/// If it is nothing that tasks leave, or there are more bad records than there may be.
pub fn take_out(run: &Run, frames: &mut Frames) -> Result<()> {
    let (mut left, rest): (Frames, Frames) =
        std::mem::take(frames).into_iter().partition(|(head, _)| head.terminal == BESIDE);
    *frames = rest;
    left.sort_unstable_by_key(|(head, _)| *head);
    for frames in left.chunk_by(|(one, _), (next, _)| Head { number: next.number, ..*one } == *next) {
        let pieces: Vec<&[u8]> = frames.iter().map(|(_, frame)| frame.as_slice()).collect();
        of(run, frames[0].0)?.unpack(run, &pieces)?;
    }
    Ok(())
}

/// What processes that repeat a job are told.
///
/// # Errors
///
/// If it cannot be told: a bug.
pub fn told(run: &Run) -> Result<Frames> {
    let all = run.beside.iter().enumerate();
    let told =
        all.filter_map(|(cell, beside)| beside.told(run).transpose().map(|told| Ok((head(cell, 0), told?))));
    told.collect()
}

/// Takes what was told.
///
/// # Errors
///
/// If it is nothing that was told.
pub fn tell(run: &Run, frames: &[(Head, Vec<u8>)]) -> Result<()> {
    frames.iter().try_for_each(|(head, told)| of(run, *head)?.tell(run, told))
}

fn of(run: &Run, head: Head) -> Result<&dyn Beside> {
    run.beside.get(head.cell).map(AsRef::as_ref).ok_or_else(|| broken("nobody has left this"))
}

fn head(cell: usize, split: usize) -> Head {
    Head { cell, order: Order { rank: 0, split }, ..Head::of(BESIDE) }
}
