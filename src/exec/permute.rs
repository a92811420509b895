//! Rows moved to their places.

/// Moves `rows[from[i]]` to place `i`, for every `i`.
///
/// # Panics
///
/// If `from` does not name every row once.
pub fn permute<T>(rows: &mut [T], from: impl ExactSizeIterator<Item = u32>) {
    let goal = goals(from);
    permute_to(rows, goal);
}

/// The place that each row goes to.
pub fn goals(from: impl ExactSizeIterator<Item = u32>) -> Vec<u32> {
    let mut goal = vec![0u32; from.len()];
    for (place, from) in from.enumerate() {
        goal[from as usize] = place as u32;
    }
    goal
}

/// Moves `rows[i]` to place `goal[i]`, for every `i`.
///
/// # Panics
///
/// If `goal` does not name every place once.
pub fn permute_to<T>(rows: &mut [T], goal: Vec<u32>) {
    swap_to(goal, |place, to| rows.swap(place, to));
}

/// Swaps until what was at place `i` is at place `goal[i]`, for every `i`, along the cycles of the permutation.
pub fn swap_to(mut goal: Vec<u32>, mut swap: impl FnMut(usize, usize)) {
    for place in 0..goal.len() {
        while goal[place] as usize != place {
            let to = goal[place] as usize;
            swap(place, to);
            goal.swap(place, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_to_its_place() {
        let mut rows = ['a', 'b', 'c', 'd', 'e'];
        permute(&mut rows, [3, 1, 0, 4, 2].into_iter());
        assert_eq!(rows, ['d', 'b', 'a', 'e', 'c']);
        permute::<char>(&mut [], [].into_iter());
    }
}
