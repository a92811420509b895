//! Cuts stages into the cycles of the MapReduce mode: map tasks, one exchange, reduce tasks, results on disk.
//!
//! A stage that reads an exchange is the end of a cycle: it may end in sinks, caches and sides, but not in another exchange. Where it
//! does, what reaches that exchange is stored, and read by the map tasks of a later cycle. A stage that feeds several exchanges is the
//! beginning of several cycles, each of which reads its input for itself. Exchanges of two inputs, such as joins, have the map stages of
//! both in one cycle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::graph::{Node, Shape};
use super::stages::{EndKind, EndPlan, PipelinePlan, Plan, StepPlan};
use crate::exec::erased::Elements;

/// One cycle: what runs at the same time, a barrier, and what runs then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cycle {
    /// The pipelines whose splits are map tasks.
    pub maps: Vec<usize>,
    /// The exchange between; none for a cycle without reduce tasks.
    pub shuffle: Option<usize>,
    /// The pipelines whose splits are reduce tasks: one, if there is an exchange.
    pub reduces: Vec<usize>,
}

/// Cuts the pipelines of a plan, and puts them in the order of their cycles.
pub fn into_cycles(plan: Plan) -> Plan {
    let Plan { nodes, pipelines, ends, rules, execution, held, .. } = plan;
    let mut cutter = Cutter { pipelines: Vec::new(), ends };
    for pipeline in &pipelines {
        if pipeline.reads.is_some_and(|end| is_shuffle(&cutter.ends[end])) {
            cutter.cut_reduce(pipeline);
        } else {
            cutter.cut_map(pipeline);
        }
    }
    let Cutter { pipelines, mut ends } = cutter;
    note_lanes(&pipelines, &mut ends);
    let cycles = Grouping::new(&pipelines, &ends).in_order();
    let (pipelines, cycles) = reorder(pipelines, cycles);
    note_lanes(&pipelines, &mut ends);
    Plan { nodes, pipelines, ends, rules, execution, cycles, held }
}

fn is_shuffle(end: &EndPlan) -> bool {
    matches!(&end.kind, EndKind::Node(node) if matches!(node.shape, Shape::Wide(_)))
}

/// Makes the ends say which pipelines feed them.
fn note_lanes(pipelines: &[PipelinePlan], ends: &mut [EndPlan]) {
    for (index, pipeline) in pipelines.iter().enumerate() {
        for step in &pipeline.steps {
            if let StepPlan::End { end, lane, rank } = step {
                ends[*end].lanes[*lane][*rank] = index;
            }
        }
    }
}

struct Cutter {
    pipelines: Vec<PipelinePlan>,
    ends: Vec<EndPlan>,
}

/// Where a pipeline is cut: behind a step, or right behind its origin.
type Cut = Option<usize>;

/// What there is behind a cut.
struct Behind {
    /// What its elements can do.
    elements: Arc<dyn Elements>,
    /// For each exchange behind it, the steps that feed it.
    shuffles: BTreeMap<usize, BTreeSet<usize>>,
}

impl Cutter {
    /// A pipeline for each exchange that is fed, and one for all else.
    fn cut_map(&mut self, pipeline: &PipelinePlan) {
        let mut by_shuffle: BTreeMap<Option<usize>, BTreeSet<usize>> = BTreeMap::new();
        for (step, end) in ends_of(pipeline) {
            by_shuffle.entry(is_shuffle(&self.ends[end]).then_some(end)).or_default().insert(step);
        }
        for steps in by_shuffle.values() {
            let part = part(pipeline, steps, Start::of(pipeline));
            self.pipelines.push(part);
        }
    }

    /// The pipeline without the ways to exchanges, where something is stored instead; and those that read it and feed the exchanges.
    fn cut_reduce(&mut self, pipeline: &PipelinePlan) {
        let parents = parents(pipeline);
        let mut cuts: BTreeMap<Cut, Behind> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for (step, end) in ends_of(pipeline) {
            if is_shuffle(&self.ends[end]) {
                let (cut, elements) = self.cut_before(pipeline, step, parents[step]);
                let cut = cuts.entry(cut).or_insert_with(|| Behind { elements, shuffles: BTreeMap::new() });
                cut.shuffles.entry(end).or_default().insert(step);
            } else {
                kept.insert(step);
            }
        }
        let mut reduce = pipeline.clone();
        let mut readers = Vec::new();
        for (cut, Behind { elements, shuffles }) in cuts {
            let node = behind(pipeline, cut);
            let stored = self.store(&node, elements, &mut reduce, cut);
            kept.insert(reduce.steps.len() - 1);
            for steps in shuffles.values() {
                let start = Start { cut, origin: Arc::clone(&node), reads: Some(stored) };
                readers.push(part(pipeline, steps, start));
            }
        }
        let reduce = part(&reduce, &kept, Start::of(pipeline));
        self.pipelines.push(reduce);
        self.pipelines.append(&mut readers);
    }

    /// Adds an end for what there is behind a step, and the step that feeds it.
    fn store(
        &mut self,
        node: &Arc<Node>,
        elements: Arc<dyn Elements>,
        reduce: &mut PipelinePlan,
        cut: Cut,
    ) -> usize {
        let kind = EndKind::Stored(Arc::clone(node), elements);
        self.ends.push(EndPlan { kind, lanes: vec![vec![0]], partition_bits: 0 });
        let (end, step) = (self.ends.len() - 1, reduce.steps.len());
        reduce.steps.push(StepPlan::End { end, lane: 0, rank: 0 });
        match cut.map(|cut| &mut reduce.steps[cut]) {
            Some(StepPlan::Operator { to, .. }) => to.push(step),
            _ => reduce.heads.push(step),
        }
        end
    }

    /// Where to cut on the way to an exchange: right before it, or else right behind the origin if only that gives records.
    fn cut_before(&self, pipeline: &PipelinePlan, step: usize, parent: Cut) -> (Cut, Arc<dyn Elements>) {
        let known = known_by_exchange(&pipeline.steps[step], &self.ends);
        let elements = known.unwrap_or_else(|| Arc::clone(&behind(pipeline, parent).elements));
        let of_origin = &pipeline.origin.elements;
        if !elements.are_records() && of_origin.are_records() {
            return (None, Arc::clone(of_origin));
        }
        (parent, elements)
    }
}

/// What an exchange knows of the elements that reach it.
fn known_by_exchange(step: &StepPlan, ends: &[EndPlan]) -> Option<Arc<dyn Elements>> {
    let StepPlan::End { end, lane, .. } = step else { return None };
    match &ends[*end].kind {
        EndKind::Node(node) => match &node.shape {
            Shape::Wide(exchange) => exchange.input_elements(*lane),
            _ => None,
        },
        _ => None,
    }
}

/// The steps that are ends, each with its end.
fn ends_of(pipeline: &PipelinePlan) -> impl Iterator<Item = (usize, usize)> {
    pipeline.steps.iter().enumerate().filter_map(|(index, step)| match step {
        StepPlan::End { end, .. } => Some((index, *end)),
        StepPlan::Operator { .. } => None,
    })
}

/// The step before each step; none for the first ones.
fn parents(pipeline: &PipelinePlan) -> Vec<Cut> {
    let mut parents = vec![None; pipeline.steps.len()];
    for (index, step) in pipeline.steps.iter().enumerate() {
        if let StepPlan::Operator { to, .. } = step {
            for &child in to {
                parents[child] = Some(index);
            }
        }
    }
    parents
}

/// The node whose output there is behind a cut.
fn behind(pipeline: &PipelinePlan, cut: Cut) -> Arc<Node> {
    match cut.map(|cut| &pipeline.steps[cut]) {
        Some(StepPlan::Operator { node, .. }) => Arc::clone(node),
        _ => Arc::clone(&pipeline.origin),
    }
}

/// Where a part of a pipeline begins.
struct Start {
    /// Its steps are those behind this cut.
    cut: Cut,
    /// The node whose elements it reads.
    origin: Arc<Node>,
    /// The end whose output it reads, if the origin is computed by this run.
    reads: Option<usize>,
}

impl Start {
    /// The start of the pipeline itself.
    fn of(pipeline: &PipelinePlan) -> Start {
        Start { cut: None, origin: Arc::clone(&pipeline.origin), reads: pipeline.reads }
    }
}

/// The steps that lead to some of the ends of a pipeline, from a start on.
fn part(pipeline: &PipelinePlan, wanted: &BTreeSet<usize>, start: Start) -> PipelinePlan {
    let heads = behind_cut(pipeline, start.cut);
    let leading = leading_to(pipeline, wanted);
    let below = below(pipeline, heads);
    let kept: Vec<usize> = leading.intersection(&below).copied().collect();
    let place = |step: &usize| kept.binary_search(step).ok();
    let places = |steps: &[usize]| steps.iter().filter_map(place).collect::<Vec<_>>();
    let mut after: BTreeSet<usize> = start.reads.into_iter().collect();
    let mut steps = Vec::with_capacity(kept.len());
    for &step in &kept {
        steps.push(match &pipeline.steps[step] {
            StepPlan::Operator { node, looks_at, to } => {
                after.extend(looks_at);
                StepPlan::Operator { node: Arc::clone(node), looks_at: *looks_at, to: places(to) }
            }
            end @ StepPlan::End { .. } => end.clone(),
        });
    }
    PipelinePlan { origin: start.origin, reads: start.reads, after, steps, heads: places(heads) }
}

/// The steps right behind a cut.
fn behind_cut(pipeline: &PipelinePlan, cut: Cut) -> &[usize] {
    match cut.map(|cut| &pipeline.steps[cut]) {
        Some(StepPlan::Operator { to, .. }) => to,
        _ => &pipeline.heads,
    }
}

/// The steps from which there is a way to some of the ends, and these ends.
fn leading_to(pipeline: &PipelinePlan, wanted: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut leading = wanted.clone();
    // Parents stand before their children.
    for (index, step) in pipeline.steps.iter().enumerate().rev() {
        if let StepPlan::Operator { to, .. } = step
            && to.iter().any(|child| leading.contains(child))
        {
            leading.insert(index);
        }
    }
    leading
}

/// Some steps, and all to which there is a way from them.
fn below(pipeline: &PipelinePlan, heads: &[usize]) -> BTreeSet<usize> {
    let mut below: BTreeSet<usize> = heads.iter().copied().collect();
    for (index, step) in pipeline.steps.iter().enumerate() {
        if let StepPlan::Operator { to, .. } = step
            && below.contains(&index)
        {
            below.extend(to);
        }
    }
    below
}

/// Which pipelines run in one cycle, and what each cycle waits for.
struct Grouping<'a> {
    pipelines: &'a [PipelinePlan],
    groups: Vec<Cycle>,
    /// How many groups each group still waits for.
    waits_for: Vec<usize>,
    /// The groups that wait for each group.
    awaited_by: Vec<BTreeSet<usize>>,
}

impl<'a> Grouping<'a> {
    /// A group for each exchange, and one for each pipeline that has to do with none.
    fn new(pipelines: &'a [PipelinePlan], ends: &'a [EndPlan]) -> Grouping<'a> {
        let mut groups: Vec<Cycle> = Vec::new();
        let mut of_shuffle: HashMap<usize, usize> = HashMap::new();
        let mut group_of = Vec::with_capacity(pipelines.len());
        for (index, pipeline) in pipelines.iter().enumerate() {
            let feeds = ends_of(pipeline).map(|(_, end)| end).find(|end| is_shuffle(&ends[*end]));
            let reads = pipeline.reads.filter(|end| is_shuffle(&ends[*end]));
            let group = match feeds.or(reads) {
                Some(end) => *of_shuffle.entry(end).or_insert(groups.len()),
                None => groups.len(),
            };
            if group == groups.len() {
                groups.push(Cycle { shuffle: feeds.or(reads), ..Cycle::default() });
            }
            let Cycle { maps, reduces, .. } = &mut groups[group];
            let list = if reads.is_some() { reduces } else { maps };
            list.push(index);
            group_of.push(group);
        }
        let mut waits_for = vec![0; groups.len()];
        let mut awaited_by = vec![BTreeSet::new(); groups.len()];
        for (pipeline, &group) in pipelines.iter().zip(&group_of) {
            for &before in pipeline.after.iter().flat_map(|end| ends[*end].lanes.iter().flatten()) {
                let before = group_of[before];
                if before != group && awaited_by[before].insert(group) {
                    waits_for[group] += 1;
                }
            }
        }
        Grouping { pipelines, groups, waits_for, awaited_by }
    }

    /// The cycles, each after those that it waits for. Cycles without an exchange that feed the same end are one, if they can
    /// run at the same time.
    fn in_order(mut self) -> Vec<Cycle> {
        let ready = |(group, waits): (usize, &usize)| (*waits == 0).then_some(group);
        let mut ready: BTreeSet<usize> = self.waits_for.iter().enumerate().filter_map(ready).collect();
        let mut cycles = Vec::with_capacity(self.groups.len());
        while let Some(first) = ready.pop_first() {
            let mut done = vec![first];
            let mut cycle = std::mem::take(&mut self.groups[first]);
            if cycle.shuffle.is_none() {
                let ends = self.ends_of_maps(&cycle);
                let joins = |group: &usize| {
                    let other = &self.groups[*group];
                    other.shuffle.is_none() && !ends.is_disjoint(&self.ends_of_maps(other))
                };
                done.extend(ready.iter().copied().filter(joins).collect::<Vec<_>>());
                for group in &done[1..] {
                    ready.remove(group);
                    cycle.maps.append(&mut self.groups[*group].maps);
                }
            }
            cycles.push(cycle);
            for group in done.iter().flat_map(|group| std::mem::take(&mut self.awaited_by[*group])) {
                self.waits_for[group] -= 1;
                if self.waits_for[group] == 0 {
                    ready.insert(group);
                }
            }
        }
        cycles
    }

    fn ends_of_maps(&self, cycle: &Cycle) -> BTreeSet<usize> {
        cycle.maps.iter().flat_map(|&map| ends_of(&self.pipelines[map]).map(|(_, end)| end)).collect()
    }
}

/// Puts pipelines in the order of their cycles. Those that are in none come last: cycles that wait for each other, which
/// [`super::lower`] refuses.
fn reorder(pipelines: Vec<PipelinePlan>, mut cycles: Vec<Cycle>) -> (Vec<PipelinePlan>, Vec<Cycle>) {
    let mut taken: Vec<Option<PipelinePlan>> = pipelines.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(taken.len());
    for cycle in &mut cycles {
        for index in cycle.maps.iter_mut().chain(&mut cycle.reduces) {
            ordered.extend(taken[*index].take());
            *index = ordered.len() - 1;
        }
    }
    ordered.extend(taken.into_iter().flatten());
    (ordered, cycles)
}
