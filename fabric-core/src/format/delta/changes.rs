//! The elements of a block that differ from the block of the base: where they are, and by how much.
//!
//! ```text
//! tops     a byte for 64 elements: bit k is set if a mask for the elements 8k..8k+8 follows
//! masks    a byte for 8 elements with a change: bit j is set if element j differs
//! narrow   a byte for each element that differs: its value, or 255 if that is 255 or more
//! wide     the values of the latter: first the lowest byte of all, then the next
//! ```
//!
//! A value is the bits of the element minus those of the base as integers, modulo the width; a positive difference d is stored
//! as 2d, a negative one as -2d - 1.
//!
//! Each of these runs is a [plane](super::plane). A step to a neighbouring float is a difference of 1, in either direction
//! and across a change of the exponent, so values are small numbers, and few different ones. Neighbouring floats of an
//! exclusive or differ in as many bits as a carry runs over.

use super::bits::{Bits, GROUP, MASKED, WIDE, masks, store_differences};
use super::plane;

/// Memory for the changes of a block, used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    tops: Vec<u8>,
    masks: Vec<u8>,
    narrow: Vec<u8>,
    /// The places of the wide values among all.
    wide: Vec<usize>,
    values: Values,
    plane: Vec<u8>,
}

#[derive(Debug, Default)]
struct Values {
    one: Vec<u8>,
    two: Vec<u16>,
    four: Vec<u32>,
    eight: Vec<u64>,
}

impl Changes {
    /// Appends the changes from `base` to `new`, which are equally long, and returns their number. `width` is that of an
    /// element in bytes: 1, 2, 4 or 8.
    pub(crate) fn encode(&mut self, width: usize, base: &[u8], new: &[u8], out: &mut Vec<u8>) -> usize {
        let mut values = std::mem::take(&mut self.values);
        let count = match width {
            2 => self.encode_as(&mut values.two, base, new, out),
            4 => self.encode_as(&mut values.four, base, new, out),
            8 => self.encode_as(&mut values.eight, base, new, out),
            _ => self.encode_as(&mut values.one, base, new, out),
        };
        self.values = values;
        count
    }

    fn encode_as<B: Bits>(&mut self, values: &mut Vec<B>, base: &[u8], new: &[u8], out: &mut Vec<u8>) -> usize {
        let count = self.compare(values, base, new);
        plane::encode(&self.tops, out);
        plane::encode(&self.masks, out);
        self.narrow.clear();
        self.narrow.extend(values[..count].iter().map(|value| value.narrow()));
        plane::encode(&self.narrow, out);
        self.find_wide();
        for number in 0..B::WIDTH {
            self.plane.clear();
            self.plane
                .extend(self.wide.iter().map(|place| values[*place].byte(number)));
            plane::encode(&self.plane, out);
        }
        count
    }

    /// Finds the changes, and returns their number.
    fn compare<B: Bits>(&mut self, values: &mut Vec<B>, base: &[u8], new: &[u8]) -> usize {
        self.tops.clear();
        self.masks.clear();
        // Eight values are stored at a time, of which the later ones may be none.
        values.resize(new.len() / B::WIDTH + MASKED, B::default());
        let mut count = 0;
        let groups = base.chunks(GROUP * B::WIDTH).zip(new.chunks(GROUP * B::WIDTH));
        for (base, new) in groups {
            let masks = masks::<B>(base, new);
            let mut top = 0;
            for (number, mask) in masks.iter().enumerate() {
                top |= u8::from(*mask != 0) << number;
            }
            for number in set(top) {
                let (mask, start) = (masks[number], number * MASKED * B::WIDTH);
                let (base, new) = (B::eight(&base[start..]), B::eight(&new[start..]));
                if let Some(values) = values[count..].first_chunk_mut() {
                    store_differences(&base, &new, mask, values);
                }
                self.masks.push(mask);
                count += mask.count_ones() as usize;
            }
            self.tops.push(top);
        }
        count
    }

    /// Adds the changes in `from` to the elements in `block`, which are those of the base. `None` if they are no changes of such a
    /// block.
    pub(crate) fn apply(&mut self, width: usize, from: &[u8], block: &mut [u8]) -> Option<()> {
        let mut values = std::mem::take(&mut self.values);
        let applied = match width {
            2 => self.apply_as(&mut values.two, from, block),
            4 => self.apply_as(&mut values.four, from, block),
            8 => self.apply_as(&mut values.eight, from, block),
            _ => self.apply_as(&mut values.one, from, block),
        };
        self.values = values;
        applied
    }

    fn apply_as<B: Bits>(&mut self, values: &mut Vec<B>, mut from: &[u8], block: &mut [u8]) -> Option<()> {
        let count = self.locate(&mut from, block.len() / B::WIDTH)?;
        self.narrow.resize(count, 0);
        plane::decode(&mut from, &mut self.narrow)?;
        values.clear();
        values.extend(self.narrow.iter().map(|narrow| B::of(*narrow)));
        self.widen(&mut from, values)?;
        for value in &mut *values {
            *value = value.signed();
        }
        // Differences are looked up for all elements of a mask.
        values.resize(count + MASKED, B::default());
        let (mut masks, mut next) = (self.masks.iter(), 0);
        for (top, group) in self.tops.iter().zip(block.chunks_mut(GROUP * B::WIDTH)) {
            for number in set(*top) {
                let (mask, eight) = (*masks.next()?, group.get_mut(number * MASKED * B::WIDTH..)?);
                B::add(eight, mask, values.get(next..)?.first_chunk()?);
                next += mask.count_ones() as usize;
            }
        }
        from.is_empty().then_some(())
    }

    /// Reads the wide values, each in its place.
    fn widen<B: Bits>(&mut self, from: &mut &[u8], values: &mut [B]) -> Option<()> {
        self.find_wide();
        self.plane.resize(self.wide.len(), 0);
        for number in 0..B::WIDTH {
            plane::decode(from, &mut self.plane)?;
            for (place, byte) in self.wide.iter().zip(&self.plane) {
                let lower = if number == 0 { B::default() } else { values[*place] };
                values[*place] = lower.with_byte(number, *byte);
            }
        }
        Some(())
    }

    /// Finds the wide values: few of many, as a rule.
    fn find_wide(&mut self) {
        self.wide.clear();
        for (number, some) in self.narrow.chunks(GROUP).enumerate() {
            if some.iter().fold(0, |most, narrow| most.max(*narrow)) == WIDE {
                let places = (number * GROUP..).zip(some).filter(|(_, narrow)| **narrow == WIDE);
                self.wide.extend(places.map(|(place, _)| place));
            }
        }
    }

    /// Reads where the changes of a block of so many elements are, and returns their number.
    fn locate(&mut self, from: &mut &[u8], elements: usize) -> Option<usize> {
        self.tops.resize(elements.div_ceil(GROUP), 0);
        plane::decode(from, &mut self.tops)?;
        self.masks.resize(ones(&self.tops), 0);
        plane::decode(from, &mut self.masks)?;
        Some(ones(&self.masks)).filter(|count| *count <= elements)
    }
}

/// The numbers of the bits that are set.
fn set(mut bits: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (lowest < 8).then_some(lowest)
    })
}

/// The number of bits that are set.
fn ones(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| byte.count_ones() as usize).sum()
}

#[cfg(test)]
mod tests;
