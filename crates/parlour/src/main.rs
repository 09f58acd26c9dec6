//! The one binary: hands over to the library at once, so that tests and tools can use the same code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    parlour::cli::main()
}
