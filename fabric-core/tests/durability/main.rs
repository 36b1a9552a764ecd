//! What survives a failing device, a killed process and a flipped bit.

mod crash;
mod damage;
mod directory;
mod state;
