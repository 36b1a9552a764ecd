//! Files that mislead, that are something else, or that ask for more than they hold: each is refused with an error that
//! says what the file is.

#[path = "../dcp/archive.rs"]
mod archive;
mod files;
mod hub;
#[allow(dead_code, reason = "the tests of such directories use the rest")]
#[path = "../dcp/made.rs"]
mod made;
#[allow(dead_code, reason = "the tests of such directories use the rest")]
#[path = "../dcp/pickle.rs"]
mod pickle;
mod recognised;
mod shapes;
#[path = "../dcp/zip.rs"]
mod zip;
