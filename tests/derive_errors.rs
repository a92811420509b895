//! What the derive macros refuse, and where their errors point.

#[test]
fn derive_errors() {
    trybuild::TestCases::new().compile_fail("tests/derive_errors/*.rs");
}
