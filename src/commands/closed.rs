//! When whoever reads our standard output goes away, as in `forecourt config schema | head`: what was asked for was
//! shown, so the program ends at once, quietly and well.
//!
//! `println!` panics then, for which `main` sets [`end_quietly`]; what is written otherwise goes through [`stdout`].

use std::io::{self, ErrorKind, StdoutLock, Write};

use super::Exit;

/// Makes a `println!` that nobody reads end the program, in the place of a panic with its trace.
pub fn end_quietly() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<String>().is_some_and(|words| is_of_a_closed_pipe(words)) {
            end();
        }
        usual(panic);
    }));
}

/// The words with which the standard library panics; 32 is `EPIPE`, whatever the language.
fn is_of_a_closed_pipe(words: &str) -> bool {
    words.starts_with("failed printing to stdout") && words.ends_with("(os error 32)")
}

fn end() -> ! {
    std::process::exit(i32::from(Exit::Ok as u8))
}

/// Standard output for `write!` and for whatever takes a sink.
pub(super) fn stdout() -> Out {
    Out(io::stdout().lock())
}

/// Standard output that ends the program when nobody reads it.
pub(super) struct Out(StdoutLock<'static>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        read_by_somebody(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        read_by_somebody(self.0.flush())
    }
}

fn read_by_somebody<T>(result: io::Result<T>) -> io::Result<T> {
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        end();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_behind_standard_output_is_still_an_error() {
        assert!(is_of_a_closed_pipe("failed printing to stdout: Broken pipe (os error 32)"));
        assert!(!is_of_a_closed_pipe("failed printing to stdout: No space left on device (os error 28)"));
    }
}
