//! Draws what waits for what, beside a list of tasks: a rail from each task down to the last one that waits for it.
//!
//! ```text
//! ┌     fetch
//! ├─┐   convert
//! ├─│─┐ count       a rail that is crossed goes on: it has nothing to do with this task
//! └─┴─┘ publish     which waits for all three
//! ```
//!
//! The rails of a row that are joined by a line lead to the task, whose own rail is the last of them.

/// What stands before a task, and before lines below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rail {
    pub here: String,
    pub below: String,
}

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// The rails of tasks, each with the places of those before it that it waits for. None if more than `most` rails would lie side by side.
///
/// Where nothing waits for anything they take no room.
pub fn rails(needs: &[Vec<usize>], most: usize) -> Option<Vec<Rail>> {
    if needs.iter().all(Vec::is_empty) {
        return Some(vec![Rail::default(); needs.len()]);
    }
    let mut waiting = vec![0; needs.len()];
    needs.iter().flatten().for_each(|&need| waiting[need] += 1);
    let mut lanes = Lanes { of: Vec::new(), waiting };
    let rows: Vec<Row> = needs.iter().enumerate().map(|(task, needs)| lanes.place(task, needs)).collect();
    let widest = lanes.of.len();
    (widest <= most).then(|| rows.iter().map(|row| row.draw(widest)).collect())
}

/// The rails at some row.
struct Lanes {
    /// The task that each comes from, if it is in use.
    of: Vec<Option<usize>>,
    /// How many tasks still wait for each task.
    waiting: Vec<usize>,
}

/// The rails of one row.
struct Row {
    before: Vec<bool>,
    after: Vec<bool>,
    /// Those that lead to the task, and its own.
    joined: Vec<usize>,
}

impl Lanes {
    fn in_use(&self) -> Vec<bool> {
        self.of.iter().map(Option::is_some).collect()
    }

    /// Ends and begins the rails of a task.
    fn place(&mut self, task: usize, needs: &[usize]) -> Row {
        let before = self.in_use();
        let is_needed = |lane: &usize| self.of[*lane].is_some_and(|source| needs.contains(&source));
        let mut joined: Vec<usize> = (0..self.of.len()).filter(is_needed).collect();
        for &lane in &joined {
            if let Some(source) = self.of[lane] {
                self.waiting[source] -= 1;
                if self.waiting[source] == 0 {
                    self.of[lane] = None;
                }
            }
        }
        // Its own rail is the last of the joined ones, if that is free by now, or one behind them.
        let first = joined.last().copied().unwrap_or(0);
        let free = (first..self.of.len()).find(|&lane| self.of[lane].is_none());
        let own = free.unwrap_or(self.of.len());
        if own == self.of.len() {
            self.of.push(None);
        }
        if self.waiting[task] > 0 {
            self.of[own] = Some(task);
        }
        joined.push(own);
        joined.dedup();
        Row { before, after: self.in_use(), joined }
    }
}

impl Row {
    fn draw(&self, width: usize) -> Rail {
        let mut rail = Rail::default();
        for lane in 0..width {
            rail.here.push(self.mark(lane));
            rail.here.push(if self.reaches(lane + 1) && self.reaches(lane) { '─' } else { ' ' });
            rail.below.push_str(if is_set(&self.after, lane) { "│ " } else { "  " });
        }
        rail
    }

    /// Whether a lane lies on the line that joins the rails.
    fn reaches(&self, lane: usize) -> bool {
        let (first, last) = (self.joined.first(), self.joined.last());
        first.is_some_and(|first| *first <= lane) && last.is_some_and(|last| lane <= *last)
    }

    fn mark(&self, lane: usize) -> char {
        let (up, down) = (is_set(&self.before, lane), is_set(&self.after, lane));
        if !self.joined.contains(&lane) {
            return if up {
                '│'
            } else if self.reaches(lane) {
                '─'
            } else {
                ' '
            };
        }
        let mut ways = 0;
        for (is_so, way) in [
            (up, UP),
            (down, DOWN),
            (self.joined.first() != Some(&lane), LEFT),
            (self.joined.last() != Some(&lane), RIGHT),
        ] {
            ways |= if is_so { way } else { 0 };
        }
        corner(ways)
    }
}

fn is_set(lanes: &[bool], lane: usize) -> bool {
    lanes.get(lane).copied().unwrap_or(false)
}

fn corner(ways: u8) -> char {
    const LEFT_UP: u8 = LEFT | UP;
    const LEFT_DOWN: u8 = LEFT | DOWN;
    match ways {
        0 => '╶',
        LEFT => '╴',
        LEFT_UP => '┘',
        LEFT_DOWN => '┐',
        ways if ways & LEFT == 0 => match ways & (UP | DOWN) {
            UP => '└',
            DOWN => '┌',
            _ => '├',
        },
        ways if ways & RIGHT == 0 => '┤',
        ways => match ways & (UP | DOWN) {
            UP => '┴',
            DOWN => '┬',
            _ => '┼',
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(needs: &[&[usize]]) -> Vec<String> {
        let needs: Vec<Vec<usize>> = needs.iter().map(|needs| needs.to_vec()).collect();
        let rails = rails(&needs, 9).unwrap();
        rails.iter().map(|rail| rail.here.trim_end().to_owned()).collect()
    }

    #[test]
    fn one_task_and_tasks_that_wait_for_nothing_have_no_rails() {
        assert_eq!(drawn(&[&[]]), [""]);
        assert_eq!(drawn(&[&[], &[]]), ["", ""]);
    }

    #[test]
    fn a_chain_is_one_rail() {
        assert_eq!(drawn(&[&[], &[0], &[1]]), ["┌", "├", "└"]);
    }

    #[test]
    fn a_diamond_goes_apart_and_comes_together() {
        assert_eq!(drawn(&[&[], &[0], &[0], &[1, 2]]), ["┌", "├─┐", "├ │", "└─┘"]);
    }

    #[test]
    fn what_has_nothing_to_do_with_a_task_is_crossed() {
        let needs: [&[usize]; 7] = [&[], &[0], &[0], &[0], &[1, 2], &[3], &[4, 5]];
        assert_eq!(drawn(&needs), ["┌", "├─┐", "├─│─┐", "├ │ │", "│ └─┤", "├   │", "└───┘"]);
    }

    #[test]
    fn leaves_end_and_what_stands_alone_is_told_from_a_chain() {
        assert_eq!(drawn(&[&[], &[0], &[], &[0]]), ["┌", "├─╴", "│ ╶", "└"]);
    }

    #[test]
    fn too_many_rails_are_none() {
        let wide: Vec<Vec<usize>> =
            (0..20).map(|task| if task < 10 { vec![] } else { vec![task - 10] }).collect();
        assert_eq!(rails(&wide, 9), None);
        assert!(rails(&wide, 10).is_some());
    }
}
