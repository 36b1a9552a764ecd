//! A damaged file, met while its bytes move onto the device.

use candle_core::DType;
use fabric_core::{Error, LoadOptions};

use super::files::{LEN, PATH, State, device, fabric, file_of, holding, tensor, zeros};

#[test]
fn a_damaged_block_interrupts_the_load_and_the_error_names_what_was_written() {
    let device = device();
    let whole = State::from([("weight".to_owned(), tensor(DType::U8, 5 * LEN + 3, 1, &device))]);
    let file = file_of(&whole);
    for place in [0, LEN, 3 * LEN + 1, 5 * LEN + 2] {
        let mut damaged = file.clone();
        // The tensor begins in the middle of the first page, behind the header.
        damaged[2048 + place] ^= 1;
        let fabric = fabric(&holding(&damaged));
        let mut state = zeros(&whole, &device);
        let error = fabric.load(PATH, &mut state).expect_err("it is damaged");
        let Error::Interrupted { written, source } = error else {
            panic!("{error}");
        };
        assert_eq!(written, ["weight"]);
        let block = place >> 20;
        assert!(
            matches!(*source, Error::Checksum { block: found, .. } if found == block),
            "byte {place}: {source}"
        );

        let mut state = zeros(&whole, &device);
        let options = LoadOptions::new().verify_first(true);
        fabric.load_with(PATH, &mut state, options).expect_err("it is damaged");
        assert!(
            file_of(&state) == file_of(&zeros(&whole, &device)),
            "nothing has changed"
        );

        // The buffers are as good as new.
        let mut state = zeros(&whole, &device);
        super::files::fabric(&holding(&file))
            .load(PATH, &mut state)
            .expect("loaded");
        assert!(file_of(&state) == file);
    }
}
