//! Files that mislead, that are something else, or that ask for more than they hold: each is refused with an error that
//! says what the file is.

mod libraries;
mod recognised;
mod shapes;
