//! What all benches share: processes and what they cost, the order in which contestants take turns, and figures of that.

pub mod figures;
pub mod files;
pub mod measure;
