//! Checkpoints for other programs.

mod archive;
mod golden;
mod passage;
mod python;
mod returned;
mod safetensors_files;
mod states;
mod torch_files;
