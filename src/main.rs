//! The `gristmill` command.

/// Columns of strings grow by reallocation, at which the system's allocator is several times slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gristmill::cli::main()
}
