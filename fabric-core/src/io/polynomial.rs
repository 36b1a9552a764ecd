//! Arithmetic modulo the polynomial of a CRC.
//!
//! A CRC with reflected input and output stores polynomials over GF(2) with the coefficient of x^0 in the highest bit.

/// The polynomial of a CRC, and the arithmetic modulo it.
#[derive(Debug)]
pub(in crate::io) struct Polynomial {
    width: u32,
    /// The polynomial without its highest power, with x^0 in the highest of `width` bits.
    reflected: u64,
}

impl Polynomial {
    /// The polynomial of CRC-64/NVME.
    pub(in crate::io) const CRC64_NVME: Self = Self {
        width: 64,
        reflected: 0x9a6c_9329_ac4b_c9b5,
    };

    /// The polynomial of CRC-32/ISO-HDLC.
    pub(in crate::io) const CRC32_ISO_HDLC: Self = Self {
        width: 32,
        reflected: 0xedb8_8320,
    };

    /// The element 1, which is x^0.
    const fn one(&self) -> u64 {
        1 << (self.width - 1)
    }

    const fn ones(&self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    pub(in crate::io) const fn times_x(&self, of: u64) -> u64 {
        (of >> 1) ^ if of & 1 == 1 { self.reflected } else { 0 }
    }

    /// Divides by x, the inverse of [`times_x`](Self::times_x): the polynomial is first added if the element is not
    /// divisible by x.
    const fn over_x(&self, of: u64) -> u64 {
        if of & self.one() == 0 {
            of << 1
        } else {
            ((of ^ self.reflected) << 1 | 1) & self.ones()
        }
    }

    pub(in crate::io) const fn product(&self, one: u64, other: u64) -> u64 {
        let (mut power, mut sum, mut rest) = (one, 0, other);
        while rest != 0 {
            if rest & self.one() != 0 {
                sum ^= power;
            }
            power = self.times_x(power);
            rest = (rest << 1) & self.ones();
        }
        sum
    }

    /// x to the `exponent`, which may be negative.
    pub(in crate::io) const fn power(&self, exponent: i64) -> u64 {
        let x = if exponent < 0 {
            self.over_x(self.one())
        } else {
            self.times_x(self.one())
        };
        let (mut power, mut square, mut rest) = (self.one(), x, exponent.unsigned_abs());
        while rest != 0 {
            if rest & 1 == 1 {
                power = self.product(power, square);
            }
            square = self.product(square, square);
            rest >>= 1;
        }
        power
    }

    /// The element in 64 bits, with x^0 in the highest.
    pub(in crate::io) const fn widened(&self, of: u64) -> u64 {
        of << (64 - self.width)
    }

    /// The difference between 64 bits and the width.
    pub(in crate::io) const fn narrower(&self) -> i64 {
        64 - self.width as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_a_field() {
        for field in [Polynomial::CRC64_NVME, Polynomial::CRC32_ISO_HDLC] {
            let (one, some) = (field.one(), field.power(12_345));
            assert_eq!(field.power(0), one);
            assert_eq!(field.power(1), field.times_x(one));
            assert_eq!(
                field.power(i64::from(field.width)),
                field.reflected,
                "what is left of the highest power"
            );
            assert_eq!(field.product(some, one), some);
            assert_eq!(field.over_x(field.times_x(some)), some);
            assert_eq!(field.product(field.power(1000), field.power(-999)), field.power(1));
            assert_eq!(field.product(some, field.power(-12_345)), one);
        }
    }
}
