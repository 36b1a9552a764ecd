use std::path::PathBuf;

use super::*;
use crate::testing::Memory;

const FILES: usize = 3 * MOST_OPEN;

fn path(number: usize) -> PathBuf {
    format!("file{number}").into()
}

fn write(memory: &Memory, path: &Path, bytes: &[u8]) {
    memory.create(path).unwrap().write_all(bytes).unwrap();
}

/// Many files, each of which holds its number.
fn opened() -> (Memory, Vec<Box<dyn ReadFile>>, OpenFiles) {
    let memory = Memory::new();
    let files = OpenFiles::new(Arc::new(memory.clone()));
    let open = |number: usize| {
        write(&memory, &path(number), &number.to_le_bytes());
        files.open(&path(number)).unwrap()
    };
    let opened = (0..FILES).map(open).collect();
    (memory, opened, files)
}

fn read(file: &dyn ReadFile) -> io::Result<usize> {
    let mut bytes = [0; size_of::<usize>()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(usize::from_le_bytes(bytes))
}

fn open_now(files: &OpenFiles) -> usize {
    let open = files.0.open.lock().unwrap();
    let held = open.iter().filter_map(Weak::upgrade);
    held.filter(|slot| slot.lock().is_some()).count()
}

#[test]
fn any_number_of_files_is_read_in_any_order_and_few_are_open() {
    let (_memory, opened, files) = opened();
    assert_eq!(open_now(&files), MOST_OPEN);
    for number in (0..FILES).chain((0..FILES).rev()).chain([0, FILES - 1, 0]) {
        assert_eq!(read(&*opened[number]).unwrap(), number);
        assert_eq!(opened[number].len().unwrap(), size_of::<usize>() as u64);
        assert!(open_now(&files) <= MOST_OPEN);
    }
}

#[test]
fn threads_that_read_the_same_files_do_not_close_them_under_each_other() {
    let (_memory, opened, files) = opened();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let opened = &opened;
            scope.spawn(move || {
                for turn in 0..4 * FILES {
                    let number = (turn * (2 * thread + 1)) % FILES;
                    assert_eq!(read(&*opened[number]).unwrap(), number);
                }
            });
        }
    });
    assert!(open_now(&files) <= MOST_OPEN);
}

/// A checkpoint that is read often beside others that are read once.
#[test]
fn what_is_read_again_and_again_stays_open() {
    let (memory, opened, _files) = opened();
    read(&*opened[0]).unwrap();
    memory.remove_file(&path(0)).unwrap();
    for file in &opened[1..] {
        read(&**file).unwrap();
        assert_eq!(read(&*opened[0]).unwrap(), 0);
    }
}

#[test]
fn files_that_are_dropped_do_not_count() {
    let (_memory, opened, files) = opened();
    drop(opened);
    assert_eq!(open_now(&files), 0);
}

#[test]
fn a_file_that_is_gone_or_another_when_it_is_opened_again_is_not_read() {
    type Change = fn(&Memory, &Path);
    let gone: Change = |memory, path| memory.remove_file(path).unwrap();
    let longer: Change = |memory, path| {
        memory.remove_file(path).unwrap();
        write(memory, path, &[0; 100]);
    };
    let replaced: Change = |memory, path| {
        write(memory, Path::new("new"), &[0; size_of::<usize>()]);
        memory.rename(Path::new("new"), path).unwrap();
    };
    for (change, expected) in [
        (gone, "is gone"),
        (longer, "had 8 bytes, and has 100"),
        (replaced, "replaced by another"),
    ] {
        let (memory, opened, _files) = opened();
        change(&memory, &path(0));
        let error = read(&*opened[0]).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("open it again"), "{error}");
        // One that is still open is what it was.
        change(&memory, &path(FILES - 1));
        assert_eq!(read(&*opened[FILES - 1]).unwrap(), FILES - 1);
    }
}
