//! The operators and actions, one a file, each with its own `impl<T> Dataset<T>` block.

mod cache;
mod collect;
mod count;
mod count_by_value;
mod distinct;
mod filter;
mod filter_map;
mod first;
mod flat_map;
mod fold;
mod fold_by_key;
mod for_each;
mod from_vec;
mod inspect;
mod key_by;
mod keys;
mod map;
mod map_partitions;
mod map_values;
mod range;
mod reduce_by_key;
mod run;
mod take;
mod top_k;
mod try_flat_map;
mod try_map;
mod union;
mod values;

pub use run::Outputs;
