//! The fused update: one pass over a parameter, its gradient and its state, in place.

use std::cell::Cell;
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, InplaceOp1, InplaceOp2, Layout, Result, Tensor, Var, bail};
use half::{bf16, f16};

use super::element::Element;
use crate::threads;

/// The number of elements that are worth another thread: some tenths of a millisecond of work.
const PER_THREAD: usize = 1 << 18;
/// The number of elements that a thread takes at a time.
pub(super) const PER_TURN: usize = 1 << 16;

/// The update of a parameter with `N` tensors of state.
pub(super) trait Update<const N: usize>: Sync {
    /// Updates each element; all slices are of one length.
    fn fused<T: Element>(&self, theta: &mut [T], state: [&mut [T]; N], grad: &[T]);

    /// Updates the parameter with candle's operations, for any device and layout.
    fn by_tensors(&self, theta: &Var, state: &[Var; N], grad: &Tensor) -> Result<()>;
}

/// Changes a parameter and its state by `update`.
///
/// # Errors
/// If the gradient has another shape, type or device than the parameter, or the device fails.
pub(super) fn apply<const N: usize>(
    update: &impl Update<N>,
    theta: &Var,
    state: &[Var; N],
    grad: &Tensor,
) -> Result<()> {
    if theta.elem_count() == 0 && matches(theta, grad) {
        // Candle's own operations return the operand itself here, which cannot be written back.
        return Ok(());
    }
    if !theta.device().is_cpu() || !theta.is_contiguous() || !matches(theta, grad) {
        return update.by_tensors(theta, state, grad);
    }
    match theta.dtype() {
        DType::F32 => apply_as::<f32, N>(update, theta, state, grad),
        DType::F64 => apply_as::<f64, N>(update, theta, state, grad),
        DType::F16 => apply_as::<f16, N>(update, theta, state, grad),
        DType::BF16 => apply_as::<bf16, N>(update, theta, state, grad),
        _ => update.by_tensors(theta, state, grad),
    }
}

/// Changes a parameter as [`apply`] does, with its state in a list.
///
/// # Errors
/// As [`apply`]; and if the list has not `N` tensors.
pub(super) fn apply_to<const N: usize>(
    update: &impl Update<N>,
    theta: &Var,
    state: &[Var],
    grad: &Tensor,
) -> Result<()> {
    match <&[Var; N]>::try_from(state) {
        Ok(state) => apply(update, theta, state, grad),
        Err(_) => bail!("expected {N} tensors of state, found {}", state.len()),
    }
}

/// Returns true if a gradient has the shape, the element type and the device of its parameter; candle's operations return the
/// error for one that has not.
fn matches(theta: &Tensor, grad: &Tensor) -> bool {
    theta.shape() == grad.shape() && theta.dtype() == grad.dtype() && theta.device().same_device(grad.device())
}

fn apply_as<T: Element, const N: usize>(
    update: &impl Update<N>,
    theta: &Var,
    state: &[Var; N],
    grad: &Tensor,
) -> Result<()> {
    // A write locks a storage: a gradient in the same storage could not be read.
    let shared = [theta]
        .into_iter()
        .chain(state)
        .any(|written| same_storage(written, grad));
    let grad = if shared {
        grad.force_contiguous()?
    } else {
        grad.contiguous()?
    };
    let empty = std::array::from_fn(|_| Default::default());
    borrow_all::<T, N>(state, empty, 0, &mut |state| {
        let write = InPlace::new(|theta: &mut CpuStorage, theta_layout: &Layout, grad: GradView<'_>| {
            let theta = elements_mut::<T>(theta, theta_layout)?;
            let grad = grad.elements::<T>()?;
            let threads = (theta.len() / PER_THREAD).min(available_threads());
            in_turns(update, Work { theta, state, grad }, threads);
            Ok(())
        });
        theta.inplace_op2(&grad, &write)
    })
}

fn same_storage(a: &Tensor, b: &Tensor) -> bool {
    // The address of the storage behind the lock; one lock at a time.
    let address = |tensor: &Tensor| std::ptr::from_ref(&*tensor.storage_and_layout().0).addr();
    address(a) == address(b)
}

/// Locks the state tensors one inside the other and hands out their elements.
///
/// The optimizer alone writes them, and everything locks the parameter last, so the order of the locks is the same
/// wherever more than one is held.
fn borrow_all<T: Element, const N: usize>(
    tensors: &[Var; N],
    borrowed: [&mut [T]; N],
    depth: usize,
    then: &mut dyn FnMut([&mut [T]; N]) -> Result<()>,
) -> Result<()> {
    let Some(tensor) = tensors.get(depth) else {
        return then(borrowed);
    };
    tensor.inplace_op1(&InPlace::new(|storage: &mut CpuStorage, layout: &Layout, ()| {
        let mut borrowed = borrowed;
        borrowed[depth] = elements_mut(storage, layout)?;
        borrow_all(tensors, borrowed, depth + 1, then)
    }))
}

fn elements_mut<'a, T: Element>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [T]> {
    let found = storage.dtype();
    let window = layout.contiguous_offsets();
    let elements = T::all_mut(storage)
        .zip(window)
        .and_then(|(all, (start, end))| all.get_mut(start..end));
    match elements {
        Some(elements) => Ok(elements),
        None => bail!(
            "expected a contiguous {:?} tensor, found {found:?} with {layout:?}",
            T::DTYPE
        ),
    }
}

/// A storage that is read.
struct GradView<'a>(&'a CpuStorage, &'a Layout);

impl<'a> GradView<'a> {
    fn elements<T: Element>(&self) -> Result<&'a [T]> {
        let window = self.1.contiguous_offsets();
        match window
            .zip(Some(self.0.as_slice::<T>()?))
            .and_then(|((start, end), all)| all.get(start..end))
        {
            Some(elements) => Ok(elements),
            None => bail!("expected a contiguous tensor, found {:?}", self.1),
        }
    }
}

/// A closure as an in-place operation, which candle calls once.
struct InPlace<F>(Cell<Option<F>>);

impl<F> InPlace<F> {
    fn new(write: F) -> Self {
        Self(Cell::new(Some(write)))
    }

    fn take(&self) -> Result<F> {
        match self.0.take() {
            Some(write) => Ok(write),
            None => bail!("an update was carried out twice"),
        }
    }
}

impl<F: FnOnce(&mut CpuStorage, &Layout, ()) -> Result<()>> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "optimizer-state"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.take()?(storage, layout, ())
    }
}

impl<F: FnOnce(&mut CpuStorage, &Layout, GradView<'_>) -> Result<()>> InplaceOp2 for InPlace<F> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(&self, theta: &mut CpuStorage, layout: &Layout, grad: &CpuStorage, grad_layout: &Layout) -> Result<()> {
        self.take()?(theta, layout, GradView(grad, grad_layout))
    }
}

/// The elements of a parameter that are not updated yet.
pub(super) struct Work<'a, T, const N: usize> {
    pub(super) theta: &'a mut [T],
    pub(super) state: [&'a mut [T]; N],
    pub(super) grad: &'a [T],
}

impl<T: Element, const N: usize> Work<'_, T, N> {
    /// Splits off the first elements, until there are none.
    fn next(&mut self, count: usize) -> Option<Self> {
        let count = count.min(self.theta.len());
        if count == 0 {
            return None;
        }
        Some(Self {
            theta: self.theta.split_off_mut(..count)?,
            state: self
                .state
                .each_mut()
                .map(|state| state.split_off_mut(..count).unwrap_or_default()),
            grad: self.grad.split_off(..count)?,
        })
    }

    fn carry_out(self, update: &impl Update<N>) {
        update.fused(self.theta, self.state, self.grad);
    }
}

/// Carries out the work on this many threads.
///
/// Storages are locked during the work. A thread of a pool that waits may begin another job, which may wait for the
/// same lock; scoped threads cannot.
pub(super) fn in_turns<T: Element, const N: usize>(update: &impl Update<N>, work: Work<'_, T, N>, threads: usize) {
    if threads < 2 {
        return work.carry_out(update);
    }
    let work = Mutex::new(work);
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next(PER_TURN);
    let take_turns = || {
        while let Some(turn) = next() {
            turn.carry_out(update);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // If the system has no further thread, the present ones do the work.
            let _ = threads::start_scoped(scope, take_turns);
        }
        take_turns();
    });
}

fn available_threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(candle_core::utils::get_num_threads)
}
