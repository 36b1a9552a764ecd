//! Compile errors for types that a field may have and a checkpoint cannot hold: each message says how to write the
//! field instead.
//!
//! Each type has an implementation behind a bound that never holds, and the compiler prints the message of that bound.
//! A bound on a concrete type is higher-ranked, because the compiler refuses a plain bound that never holds at its
//! definition.

use std::marker::PhantomData;
use std::time::Instant;
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

/// The subject of the bounds below: `Rule: WrittenInPlace<QTensor>` does not hold. Each trait holds for one other type,
/// which the compiler names in its message beside the refused type.
#[derive(Debug)]
pub struct Rule<'a>(PhantomData<&'a ()>);

/// The only type that implements [`WrittenThroughSharing`]; it has no values.
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
    note = "or lock at the call, and save or load a view that borrows the contents: `struct View<'a> {{ model: &'a mut Linear }}`, \
            made from `&mut *guard`",
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

/// The visiting methods of an implementation whose bound never holds.
macro_rules! unreachable_methods {
    () => {
        fn visit<'a>(&'a self, _: &mut $crate::state::Visitor<'a>) {}
        fn visit_mut<'a>(&'a mut self, _: &mut $crate::state::VisitorMut<'a>) {}
    };
}

/// Implements `Checkpoint` for types, behind the bound of a reason that never holds.
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
    OutlivesTheProgram { Device; Dropout; Instant; }
    HoldsItsVariables { VarBuilderArgs<'b, B>, ['b, B: candle_nn::var_builder::Backend]; }
    OutlivesThePass {
        GradStore; LSTMState; GRUState;
        Cache; KvCache; RotatingCache; RotatingKvCache; ConcatKvCache; ScatteredKvCache;
    }
    WrittenInPlace { QTensor; QMatMul; }
}

/// Implements `Checkpoint` for pointers and cells through which other owners reach the same memory, behind a bound that
/// never holds.
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
