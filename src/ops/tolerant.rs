//! Closures that may fail, where the run goes on without the elements that they refuse.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::findings::{Finding, Of};
use super::on_error::{Action, OnError};
use super::rejects::Rejects;
use crate::Text;
use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::chunk::Chunk;
use crate::exec::erased::AnyPush;
use crate::exec::narrow::{FlatMap, Operator};
use crate::exec::out::Out;
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::exec::trace::Cursor;
use crate::record::Data;

/// What `f` makes of a dataset, where `policy` says what becomes of the elements that it refuses.
pub(super) fn tolerant<T, I, F>(
    input: &Dataset<T>,
    call: CallSite,
    f: &Arc<F>,
    policy: OnError,
) -> Dataset<I::Item>
where
    T: Data,
    I: IntoIterator + 'static,
    I::Item: Data,
    F: Fn(T) -> Result<I> + Send + Sync + 'static,
{
    let f = Arc::clone(f);
    if policy.action == Action::Fail {
        return input.narrow(call, FlatMap::new(move |item| f(item)));
    }
    let ctx = input.context();
    let rejects = Arc::new(Rejects::new(call, policy, ctx.budget(), ctx.counter(OnError::BAD_RECORDS), None));
    let attached = rejects.attached();
    input.narrow(call, Tolerant { f, call, rejects, types: PhantomData }).with_attached(attached)
}

struct Tolerant<T, I, F> {
    f: Arc<F>,
    call: CallSite,
    rejects: Arc<Rejects>,
    types: PhantomData<fn(T) -> I>,
}

impl<T, I, F> Operator for Tolerant<T, I, F>
where
    T: 'static,
    I: IntoIterator + 'static,
    I::Item: 'static,
    F: Fn(T) -> Result<I> + Send + Sync + 'static,
{
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        Ok(AnyPush::new(TolerantPush {
            f: Arc::clone(&self.f),
            call: self.call,
            cx: cx.clone(),
            finding: self.rejects.finding_of_closure(cx),
            rejects: Arc::clone(&self.rejects),
            out: Out::new(cx.chunk_rows(), next.typed::<I::Item>()?),
            types: PhantomData,
        }))
    }
}

struct TolerantPush<T, I: IntoIterator, F> {
    f: Arc<F>,
    call: CallSite,
    cx: TaskCx,
    finding: Finding,
    rejects: Arc<Rejects>,
    out: Out<I::Item>,
    types: PhantomData<fn(T) -> I>,
}

impl<T: 'static, I: IntoIterator, F: Fn(T) -> Result<I>> Push<T> for TolerantPush<T, I, F> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let needs_text = self.finding.needs_text();
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for item in chunk.items.drain(..) {
            let row = at.row();
            if self.out.at_row(row)? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            let text = if needs_text { text_of(&item) } else { None };
            match (self.f)(item) {
                Ok(results) => {
                    self.finding.good += 1;
                    for result in results {
                        if self.out.emit(result)? == Demand::Enough {
                            return Ok(Demand::Enough);
                        }
                    }
                }
                Err(error) => {
                    let text = text.map(|text| text.as_bytes().to_vec());
                    self.finding.refuse(&self.cx, self.call, row, &error.to_string(), text)?;
                }
            }
            at.advance();
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let finding = std::mem::replace(&mut self.finding, self.rejects.finding_of_closure(&self.cx));
        if let Some(computation) = self.cx.computation() {
            self.rejects.take(Of::Computation(computation), finding)?;
        }
        self.out.finish()
    }
}

/// A text that an element is.
fn text_of(item: &dyn Any) -> Option<Text> {
    let text = item.downcast_ref::<Text>().cloned();
    let text = text.or_else(|| item.downcast_ref::<String>().map(|text| Text::from(text.as_str())));
    text.or_else(|| item.downcast_ref::<&'static str>().map(|text| Text::from(*text)))
}
