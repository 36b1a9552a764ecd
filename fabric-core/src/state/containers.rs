//! Containers: a container of plain values is one value; any other container shows its parts, named by index or key.

mod maps;
mod options;
mod pointers;
mod sequences;
mod sets;
mod slices;
mod tuples;
