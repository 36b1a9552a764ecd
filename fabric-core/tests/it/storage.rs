//! Every storage is held to one suite; then each to what it alone promises.

mod announced;
mod counting;
mod crash;
mod faulty;
#[cfg(target_os = "linux")]
mod freed;
#[cfg(unix)]
mod local;
mod suite;

use std::path::Path;

use fabric_core::storage::{Local, Storage};
use fabric_core::testing::{Counting, Faulty, Memory};

use self::announced::*;
use self::suite::*;

type Sentence = fn(&dyn Storage, &Path);

fn on_disk(storage: &dyn Storage, sentence: Sentence) {
    let directory = tempfile::tempdir().unwrap();
    sentence(storage, directory.path());
}

fn in_memory(storage: &dyn Storage, sentence: Sentence) {
    let root = Path::new("/some/directory");
    storage.create_dir_all(root).unwrap();
    sentence(storage, root);
}

/// One test for each sentence and backend.
macro_rules! every_backend {
    ($($sentence:ident)*) => {
        mod local_conforms {
            $(#[test] fn $sentence() { super::on_disk(&super::Local::new(), super::$sentence); })*
        }
        mod memory_conforms {
            $(#[test] fn $sentence() { super::in_memory(&super::Memory::new(), super::$sentence); })*
        }
        mod faulty_conforms {
            $(#[test] fn $sentence() {
                super::in_memory(&super::Faulty::new(super::Memory::new()), super::$sentence);
            })*
        }
        mod faulty_on_disk_conforms {
            $(#[test] fn $sentence() {
                super::on_disk(&super::Faulty::new(super::Local::new()), super::$sentence);
            })*
        }
        mod counting_conforms {
            $(#[test] fn $sentence() {
                super::in_memory(&super::Counting::new(super::Memory::new()), super::$sentence);
            })*
        }
    };
}

every_backend! {
    what_was_written_in_pieces_is_read_whole
    opening_nothing_is_not_found
    opening_a_directory_is_refused
    a_path_through_a_file_is_refused
    create_refuses_what_exists
    create_needs_its_directory
    rename_moves_a_file
    rename_replaces_a_file
    a_file_can_be_renamed_while_its_writer_holds_it
    a_file_is_the_same_when_it_is_opened_again_and_another_is_another
    an_open_file_is_read_after_it_was_replaced_or_removed
    rename_of_nothing_is_not_found
    rename_keeps_files_and_directories_apart
    rename_moves_a_directory_with_its_contents
    rename_refuses_a_full_directory_and_one_in_itself
    rename_to_its_own_name_changes_nothing
    remove_file_removes_files_only
    create_dir_all_creates_parents_and_may_be_repeated
    create_dir_all_refuses_a_file_in_the_way
    remove_dir_all_removes_the_tree
    remove_dir_all_leaves_a_file_and_the_current_directory
    sync_dir_needs_a_directory
    kind_tells_files_directories_and_nothing_apart
    list_is_sorted_and_of_one_level
    list_needs_a_directory
    the_empty_path_is_the_current_directory
    dots_in_a_path_lead_nowhere_and_up
    reading_past_the_end_gives_no_bytes
    an_empty_file_is_empty
    several_threads_read_one_file
    what_is_lent_is_what_is_read_and_all_of_it
    what_is_no_link_resolves_to_itself
    a_file_is_abandoned_when_its_writer_is_gone
    only_files_can_be_abandoned
    an_abandoned_file_can_be_held_in_its_writer_s_place
    what_is_taken_over_stays_as_it_is
    only_files_can_be_taken_over
    remove_dir_removes_empty_directories_only
    list_os_has_every_name_of_list
    a_file_like_another_is_new_and_empty
    an_announced_file_holds_what_was_written
    a_file_may_be_shorter_or_longer_than_announced
    an_announced_file_can_be_written_on_after_its_sync
    an_announced_file_belongs_to_its_writer
}
