//! Candle's own optimizers hide their state, so they cannot be fields of a state: the compile error names the
//! optimizers of this library.

use candle_nn::{ParamsAdamW, SGD};

use super::{AdamW, Sgd};
use crate::state::refused;
use crate::state::refused::Rule;

#[diagnostic::on_unimplemented(
    message = "candle's own AdamW hides its state: its moments cannot be saved",
    label = "the moments are private to candle",
    note = "use fabric_core::optim::AdamW: it has the same constructors and methods, computes the same bits, and can be saved"
)]
pub trait AdamWShowsItsState<T: ?Sized> {}
impl AdamWShowsItsState<AdamW> for Rule<'_> {}

#[diagnostic::on_unimplemented(
    message = "candle's own SGD hides its state: its learning rate and its variables cannot be saved",
    label = "the state is private to candle",
    note = "use fabric_core::optim::Sgd: with the default parameters it computes the same bits, and it can be saved"
)]
pub trait SgdShowsItsState<T: ?Sized> {}
impl SgdShowsItsState<Sgd> for Rule<'_> {}

#[diagnostic::on_unimplemented(
    message = "the optimizer stores its own hyper-parameters, and `{T}` cannot be stored a second time",
    label = "hyper-parameters of AdamW",
    note = "mark the field #[checkpoint(skip)]: fabric_core::optim::AdamW saves and restores its learning rate, betas, eps and \
            weight decay"
)]
pub trait StoredBesideAdamW<T: ?Sized> {}
impl StoredBesideAdamW<AdamW> for Rule<'_> {}

refused! {
    AdamWShowsItsState { candle_nn::AdamW; }
    SgdShowsItsState { SGD; }
    StoredBesideAdamW { ParamsAdamW; }
}
