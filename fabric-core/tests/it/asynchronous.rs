//! Saving in the background: what is saved is the state at the call, whatever happens to it, to the disk or to the process.

mod busy;
mod ends;
mod exact;
mod failing;
mod nested;
mod odd;
mod ranks;
mod state;
mod training;
