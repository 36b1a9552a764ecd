//! Checkpoints survive a failing device, a killed process, another saver and a flipped bit; foreign files survive every save.

#[cfg(fabric_linux)]
mod access;
mod crash;
mod damage;
mod directory;
#[cfg(unix)]
mod names;
#[cfg(fabric_linux)]
mod special_files;
mod state;
mod two_savers;
#[cfg(unix)]
mod users_files;
