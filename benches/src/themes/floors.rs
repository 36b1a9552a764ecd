//! What the machine does without any library.

use std::fs::File;

use super::Bench;
use crate::Outcome;
use crate::figures::{Kind, Theme};
use crate::floors::{self, Aligned};
use crate::measured::float;
use crate::table::size;
use crate::timing::{Task, in_turn};

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Floors");
    theme.note("Plain system calls move the bytes. Each section below measures its floors again, in its own rounds.");
    let bytes = bench.scaled(1 << 30);
    let source = Aligned::new(bytes);
    let mut into = vec![1; bytes];
    let mut direct = Aligned::new(bytes);
    let (read, written) = (bench.path("read"), bench.path("written"));
    floors::write(&read, source.bytes())?.sync_all()?;

    let floor = Kind::Floor;
    // One buffer for all who read; only one task runs at a time.
    let into = std::cell::RefCell::new(&mut into);
    let tasks = vec![
        Task::new(floor, "memcpy", || {
            floors::copy(source.bytes(), &mut into.borrow_mut(), 1);
            Ok(())
        }),
        Task::new(floor, "memcpy, 2 threads", || {
            floors::copy(source.bytes(), &mut into.borrow_mut(), 2);
            Ok(())
        }),
        Task::new(floor, "pread, cached, into touched memory", || {
            floors::read(&read, &mut into.borrow_mut(), 1)
        }),
        Task::new(floor, "pread, cached, into touched memory, 2 threads", || {
            floors::read(&read, &mut into.borrow_mut(), 2)
        }),
        Task::new(floor, "std::fs::read, cached", || {
            std::fs::read(&read)?;
            Ok(())
        }),
        Task::new(floor, "write to a new file", || {
            floors::write(&written, source.bytes()).map(drop)
        })
        .making(&written),
        Task::new(floor, "write to a new file, fdatasync", || {
            let file: File = floors::write(&written, source.bytes())?;
            Ok(file.sync_data()?)
        })
        .making(&written),
        Task::new(floor, "O_DIRECT write to a new file, fallocate, fdatasync", || {
            floors::write_direct(&written, &source)
        })
        .making(&written),
        Task::new(floor, "O_DIRECT + fallocate, fdatasync, 3 threads", || {
            floors::write_direct_by(&written, &source, 3, 2 << 20)
        })
        .making(&written),
        Task::new(floor, "O_DIRECT read, 4 threads", || {
            floors::read_direct(&read, &mut direct, 4)
        }),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    theme.tables.push(measured.table(&size(float(bytes)), bytes, "memcpy"));
    Ok(theme)
}
