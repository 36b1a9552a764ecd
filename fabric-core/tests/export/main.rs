//! Checkpoints for other programs.

mod archive;
mod golden;
mod python;
mod safetensors_files;
mod states;
mod torch_files;
