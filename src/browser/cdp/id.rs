//! Numbers commands so that an answer to an earlier service is never taken for one to this service.

/// Bits of the counter below the attach number; together they leave the sign bit of a 32-bit integer free.
const COUNTER_BITS: u32 = 21;

/// Attach numbers repeat after this many, which is far more than replies can be late.
const ATTACHES: u32 = 1024;

/// A source of command ids: `(attach mod 1024) << 21 | counter`, always positive in 32 bits.
#[derive(Debug)]
pub struct Ids {
    attach: u32,
    counter: u32,
}

impl Ids {
    /// The ids of the service that attached as this number.
    #[must_use]
    pub fn new(attach: u32) -> Self {
        Self { attach: (attach % ATTACHES) << COUNTER_BITS, counter: 0 }
    }

    /// The next id; the counter skips 0, so that no id is 0.
    pub fn next_id(&mut self) -> u32 {
        self.counter = (self.counter + 1) & ((1 << COUNTER_BITS) - 1);
        if self.counter == 0 {
            self.counter = 1;
        }
        self.attach | self.counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_the_attach_and_stay_positive_in_32_bits() {
        assert_eq!(Ids::new(0).next_id(), 1);
        assert_eq!(Ids::new(3).next_id(), (3 << 21) | 1);
        assert_eq!(Ids::new(1024).next_id(), 1);
        assert!(i32::try_from(Ids::new(u32::MAX).next_id()).is_ok());
    }

    #[test]
    fn the_counter_wraps_without_touching_the_attach_or_giving_0() {
        let mut ids = Ids::new(1023);
        ids.counter = (1 << 21) - 2;
        assert_eq!(ids.next_id(), i32::MAX.unsigned_abs());
        assert_eq!(ids.next_id(), (1023 << 21) | 1);
        let mut first = Ids::new(0);
        first.counter = (1 << 21) - 1;
        assert_eq!(first.next_id(), 1);
    }
}
