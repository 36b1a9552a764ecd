//! What a user does, and what must hold when it goes wrong.

#![allow(clippy::float_cmp, reason = "what is restored is equal to the last bit, or wrong")]

mod advice;
mod alias_chains;
mod asymmetric;
mod attributes;
mod bare;
mod book;
mod by_hand;
mod changing;
mod containers;
mod contract;
mod damage;
mod dcp;
mod declarations;
mod enums;
mod errors;
mod exact_calls;
mod excluded;
mod expand;
mod filters;
mod hidden;
mod hostile;
pub mod hygiene;
mod integers_and_floats;
mod messages;
mod metadata;
mod modules;
mod newtypes;
mod numbers;
mod one_name;
mod only;
mod optimizers;
mod other_names;
mod overlaps;
mod parts;
mod peers;
mod processes;
mod python;
mod raw;
mod renamed_parts;
mod resume;
mod same_bytes;
mod saved_is_loadable;
mod selected;
mod strangers;
mod strictness;
mod table;
mod tensors;
mod ties;
mod ui;
mod untouched;
mod values;
mod whole_states;
mod wrong_file;

use testkit::states;
