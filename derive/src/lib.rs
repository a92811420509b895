//! The derive macros of gristmill.
