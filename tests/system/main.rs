//! What a user does, and what must hold when it goes wrong.

#![allow(clippy::float_cmp, reason = "what is restored is equal to the last bit, or wrong")]

mod advice;
mod attributes;
mod bare;
mod containers;
mod contract;
mod damage;
mod declarations;
mod errors;
mod exact_calls;
mod excluded;
mod filters;
mod hidden;
mod hub;
mod integers_and_floats;
mod messages;
mod metadata;
mod modules;
mod numbers;
mod one_name;
mod optimizers;
mod other_names;
mod overlaps;
mod parts;
mod python;
mod raw;
mod resume;
mod same_bytes;
mod saved_is_loadable;
mod states;
mod strangers;
mod strictness;
mod table;
mod tensors;
mod ties;
mod untouched;
mod values;
mod whole_states;
mod wrong_file;
