//! A schema that changes: recipes that bring the files of older programs along, with the optimizer.

mod attention;
mod errors;
mod families;
mod guards;
mod others;
mod pytorch;
mod resized;
mod schemas;
mod structs;
mod training;
mod unlike;
mod values;
