//! A schema that changes: recipes that bring the files of older programs along, with the optimizer.

mod errors;
mod guards;
mod others;
mod resized;
mod schemas;
mod training;
mod values;
