//! Tensors of CUDA: saving and loading beside what the bus moves from and to pinned memory.

use std::cell::RefCell;
use std::time::Instant;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, PinnedHostSlice};
use candle_core::{Device, Var};
use candle_nn::VarMap;
use fabric_core::Fabric;

use super::Bench;
use super::load::save_relaxed;
use crate::Outcome;
use crate::figures::{Kind, Theme};
use crate::states::{Form, state_in_file};
use crate::timing::{Task, in_turn};

const UP: &str = "pinned memory to the device";
const DOWN: &str = "the device to pinned memory";
const PANICKED: &str = "a thread has panicked";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Tensors of CUDA");
    let form = Form {
        tensors: 64,
        each: bench.scaled(1 << 30) / 64,
    };
    let device = Device::new_cuda(0)?;
    let (plain, ours, made) = (
        bench.path("state.safetensors"),
        bench.path("ours.ckpt"),
        bench.path("made"),
    );
    let variables = on_device(&state_in_file(form, &plain)?, &device)?;
    let fabric = Fabric::new();
    save_relaxed(&fabric, &ours, &variables)?;
    let bus = Bus::new(&device, form.bytes())?;
    let (bus, variables) = (RefCell::new(bus), RefCell::new(variables));

    let loading = vec![
        Task::new(Kind::Floor, UP, || bus.borrow_mut().up()),
        Task::new(Kind::Ours, "load in place, page cache warm", || {
            Ok(fabric.load(&ours, &mut *variables.borrow_mut()).map(drop)?)
        }),
        Task::new(Kind::Peer, "candle VarMap::load", || {
            variables.borrow_mut().load(&plain)?;
            Ok(device.synchronize()?)
        }),
    ];
    let measured = in_turn(loading, bench.runs())?;
    theme
        .tables
        .push(measured.table(&format!("loading {}", form.words()), form.bytes(), UP));

    let variables = &*variables.borrow();
    let saving = vec![
        Task::new(Kind::Floor, DOWN, || bus.borrow_mut().down()),
        Task::new(Kind::Ours, "Fabric save, not synced", || {
            save_relaxed(&fabric, &made, variables)
        })
        .making(&made),
        Task::new(Kind::Ours, "Fabric save, synced", || {
            Ok(fabric.save(&made, variables).map(drop)?)
        })
        .making(&made),
        Task::timing_itself(Kind::Ours, "Fabric save_async, until it returns", || {
            let begin = Instant::now();
            let saving = fabric.save_async(&made, variables)?;
            let seconds = begin.elapsed().as_secs_f64();
            saving.wait()?;
            Ok(seconds)
        })
        .making(&made),
        Task::new(Kind::Peer, "candle VarMap::save", || Ok(variables.save(&made)?)).making(&made),
    ];
    let measured = in_turn(saving, bench.runs())?;
    theme
        .tables
        .push(measured.table(&format!("saving {}", form.words()), form.bytes(), DOWN));
    Ok(theme)
}

fn on_device(variables: &VarMap, device: &Device) -> Outcome<VarMap> {
    let moved = VarMap::new();
    for (name, variable) in variables.data().lock().map_err(|_| PANICKED)?.iter() {
        let variable = Var::from_tensor(&variable.to_device(device)?)?;
        moved
            .data()
            .lock()
            .map_err(|_| PANICKED)?
            .insert(name.clone(), variable);
    }
    Ok(moved)
}

/// What the bus moves: one copy of everything, from pinned memory or to it.
struct Bus {
    pinned: PinnedHostSlice<u8>,
    memory: CudaSlice<u8>,
}

impl Bus {
    #[expect(unsafe_code, reason = "pinned memory has no contents at first")]
    fn new(device: &Device, len: usize) -> Outcome<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        let context = stream.context();
        // SAFETY: the memory must not be read before it was written, and all of it is written here.
        let pinned = unsafe {
            let mut pinned = context.alloc_pinned_with_flags::<u8>(len, 0)?;
            pinned.as_mut_ptr()?.write_bytes(1, len);
            pinned
        };
        let memory = stream.alloc_zeros(len).w()?;
        Ok(Self { pinned, memory })
    }

    fn up(&mut self) -> Outcome {
        let stream = self.memory.stream().clone();
        stream.memcpy_htod(&self.pinned, &mut self.memory)?;
        Ok(stream.synchronize()?)
    }

    fn down(&mut self) -> Outcome {
        let stream = self.memory.stream().clone();
        stream.memcpy_dtoh(&self.memory, &mut self.pinned)?;
        Ok(stream.synchronize()?)
    }
}
