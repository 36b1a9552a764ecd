//! Types that cannot be part of a checkpoint although a field could well have them: the compiler says of each what to
//! write instead.
//!
//! Each has an implementation behind a bound that never holds, and the compiler prints the message of that bound. A
//! bound of a concrete type is higher-ranked, because a plain bound that never holds is refused where it is written.

use std::marker::PhantomData;
use std::{cell, rc, sync};

use candle_core::backprop::GradStore;
use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Tensor};
use candle_nn::func::FuncT;
use candle_nn::kv_cache::{Cache, ConcatKvCache, KvCache, RotatingCache, RotatingKvCache, ScatteredKvCache};
use candle_nn::rnn::{GRUState, LSTMState};
use candle_nn::var_builder::VarBuilderArgs;
use candle_nn::{Dropout, Func, GRU, GroupNorm, LSTM, Sequential, VarMap};

use super::Checkpoint;

/// Stands before the traits below: `Rule: WrittenInPlace<QTensor>` does not hold. Each trait holds for one other type,
/// which the compiler names beside the one that is refused.
#[derive(Debug)]
pub struct Rule<'a>(PhantomData<&'a ()>);

/// The one type that [`WrittenThroughSharing`] holds for: nothing has it.
#[derive(Debug)]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the compiler's messages name it, and name no private type"
)]
pub enum OwnedOrBorrowedAsMut {}

impl WrittenThroughSharing for OwnedOrBorrowedAsMut {}

#[diagnostic::on_unimplemented(
    message = "a checkpoint is restored in place, and a shared `{Self}` cannot be written through",
    label = "a pointer or a cell that others may hold as well",
    note = "own the value: a clone of a candle tensor or module is a handle to the same memory, so every owner can have one",
    note = "or let the state borrow it as `&mut` for the call that saves or loads",
    note = "if the field need not be restored, mark it #[checkpoint(skip)]"
)]
pub trait WrittenThroughSharing {}

#[diagnostic::on_unimplemented(
    message = "`{T}` hides its tensors, so they cannot be saved from it",
    label = "candle keeps the tensors of this module in private fields",
    note = "store the `VarMap` that the module was built from, or a `fabric_core::Recording` of it, in a field of its own, and \
            mark this field #[checkpoint(skip)]: see the book's chapter \"Modules that hide their tensors\""
)]
pub trait ShowsItsTensors<T: ?Sized> {}
impl ShowsItsTensors<VarMap> for Rule<'_> {}

#[diagnostic::on_unimplemented(
    message = "`{T}` has no contents that a checkpoint could restore",
    label = "the program makes it again when it starts",
    note = "mark the field #[checkpoint(skip)]"
)]
pub trait OutlivesTheProgram<T: ?Sized> {}
impl OutlivesTheProgram<Tensor> for Rule<'_> {}

#[diagnostic::on_unimplemented(
    message = "a `VarBuilder` cannot be saved; the `VarMap` that it writes to can",
    label = "a source of variables",
    note = "store the `VarMap` in a field, and mark this field #[checkpoint(skip)]"
)]
pub trait HoldsItsVariables<T: ?Sized> {}
impl HoldsItsVariables<VarMap> for Rule<'_> {}

#[diagnostic::on_unimplemented(
    message = "`{T}` is computed anew in every pass, so a checkpoint does not keep it",
    label = "gradients, caches and hidden states are not saved",
    note = "mark the field #[checkpoint(skip)]; to keep a tensor of it, store that `Tensor` in a field of its own"
)]
pub trait OutlivesThePass<T: ?Sized> {}
impl OutlivesThePass<Tensor> for Rule<'_> {}

#[diagnostic::on_unimplemented(
    message = "`{T}` is quantized, and candle cannot write into quantized tensors in place",
    label = "a quantized tensor cannot be restored in place",
    note = "mark the field #[checkpoint(skip)], and read quantized weights with candle_core::quantized"
)]
pub trait WrittenInPlace<T: ?Sized> {}
impl WrittenInPlace<Tensor> for Rule<'_> {}

/// The methods of an implementation that no call can reach.
macro_rules! unreachable_methods {
    () => {
        fn visit<'a>(&'a self, _: &mut $crate::state::Visitor<'a>) {}
        fn visit_mut<'a>(&'a mut self, _: &mut $crate::state::VisitorMut<'a>) {}
    };
}

/// Refuses types for a reason.
macro_rules! refused {
    ($($reason:ident { $($type:ty $(, [$($generics:tt)*])?;)+ })*) => {$($(
        #[doc(hidden)]
        impl $(<$($generics)*>)? $crate::state::Checkpoint for $type
        where
            for<'never> $crate::state::refused::Rule<'never>: $reason<$type>,
        {
            $crate::state::refused::unreachable_methods!();
        }
    )+)*};
}
pub(crate) use refused;
pub(crate) use unreachable_methods;

refused! {
    ShowsItsTensors { GroupNorm; LSTM; GRU; Sequential; Func<'f>, ['f]; FuncT<'f>, ['f]; }
    OutlivesTheProgram { Device; Dropout; }
    HoldsItsVariables { VarBuilderArgs<'b, B>, ['b, B: candle_nn::var_builder::Backend]; }
    OutlivesThePass {
        GradStore; LSTMState; GRUState;
        Cache; KvCache; RotatingCache; RotatingKvCache; ConcatKvCache; ScatteredKvCache;
    }
    WrittenInPlace { QTensor; QMatMul; }
}

/// Pointers and cells through which other owners reach the same memory.
macro_rules! shared {
    ($($pointer:ty, [$($generics:tt)*];)*) => {$(
        #[doc(hidden)]
        impl<$($generics)*> Checkpoint for $pointer {
            unreachable_methods!();
        }
    )*};
}

shared! {
    rc::Rc<T>, [T: WrittenThroughSharing + ?Sized];
    rc::Weak<T>, [T: WrittenThroughSharing + ?Sized];
    sync::Arc<T>, [T: WrittenThroughSharing + ?Sized];
    sync::Weak<T>, [T: WrittenThroughSharing + ?Sized];
    sync::Mutex<T>, [T: WrittenThroughSharing + ?Sized];
    sync::RwLock<T>, [T: WrittenThroughSharing + ?Sized];
    sync::OnceLock<T>, [T: WrittenThroughSharing];
    cell::Cell<T>, [T: WrittenThroughSharing + ?Sized];
    cell::RefCell<T>, [T: WrittenThroughSharing + ?Sized];
    cell::OnceCell<T>, [T: WrittenThroughSharing];
}
