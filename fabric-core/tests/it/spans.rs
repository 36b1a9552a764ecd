//! Spans of `tracing` for every phase of a save and a load, and their sums.

mod listener;

use std::io;
use std::thread;

use candle_core::{Device, Tensor};
use fabric_core::group::ThreadGroup;
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, Saving, Strategy};
use testkit::files::on;
use tracing::Level;

use self::listener::{Listener, Said};

/// Two tensors and a value.
#[derive(Checkpoint)]
struct State {
    large: Tensor,
    small: Tensor,
    step: u64,
}

impl State {
    /// The bytes of its tensors.
    const BYTES: u64 = 4 * 3_000_000 + 4 * 5;

    fn new() -> Self {
        let ones = |len: usize| Tensor::full(1f32, len, &Device::Cpu).expect("memory");
        Self {
            large: ones(3_000_000),
            small: ones(5),
            step: 7,
        }
    }
}

fn saved() -> Fabric {
    let fabric = on(Memory::new());
    fabric.save("last", &State::new()).expect("saved");
    fabric
}

/// The only event, at the level at which sums are told.
fn sums(listener: &Listener) -> Said {
    let events = listener.events();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.level, Level::DEBUG);
    event.clone()
}

fn milliseconds(said: &Said, phase: &str) -> f64 {
    let text = said.fields.get(&format!("{phase}_ms"));
    let text = text.unwrap_or_else(|| panic!("no {phase} in {said:?}"));
    text.parse().expect("a number")
}

#[test]
fn a_save_has_a_span_for_each_phase_with_its_bytes() {
    let listener = Listener::new();
    let fabric = on(Memory::new());
    let report = listener.listen(|| fabric.save("run/last", &State::new()));
    let len = report.expect("saved").bytes.to_string();
    let save = listener.only("save");
    assert_eq!(
        (save.inside, &*save.fields["path"], &*save.fields["rank"]),
        (None, "run/last", "0")
    );
    assert_eq!(
        (&save.fields["background"], &save.fields["bytes"]),
        (&"false".to_owned(), &len)
    );
    assert_eq!(listener.phases("save"), ["commit", "plan", "sync", "write"]);
    assert!(
        listener.spans().iter().all(|span| span.entered),
        "so that they have a duration"
    );
    assert_eq!(listener.only("write").fields["bytes"], len);
    assert_eq!(listener.only("plan").fields["bytes"], State::BYTES.to_string());

    let sums = sums(&listener);
    assert_eq!(
        (sums.inside, &*sums.fields["message"], &sums.fields["bytes"]),
        (Some("save"), "saved", &len)
    );
    let phases = ["plan", "write", "sync", "commit"].map(|phase| milliseconds(&sums, phase));
    let total = milliseconds(&sums, "total");
    assert!(phases.iter().all(|phase| *phase > 0.), "{sums:?}");
    assert!(phases.iter().sum::<f64>() <= total, "none is counted twice: {sums:?}");
    assert!(!sums.fields.contains_key("snapshot_ms"), "there was none: {sums:?}");
}

#[test]
fn a_load_has_a_span_for_each_phase_with_its_bytes() {
    listener::prepare();
    let fabric = saved();
    for (verify_first, phases) in [
        (false, &["index", "match", "read"][..]),
        (true, &["index", "match", "read", "verify"]),
    ] {
        let listener = Listener::new();
        let options = LoadOptions::new().verify_first(verify_first);
        let loaded = listener.listen(|| fabric.load_with("last", &mut State::new(), options));
        loaded.expect("loaded");
        let load = listener.only("load");
        assert_eq!(
            (load.inside, &*load.fields["path"], &*load.fields["rank"]),
            (None, "last", "0")
        );
        assert_eq!(listener.phases("load"), phases);
        assert!(
            listener.spans().iter().all(|span| span.entered),
            "so that they have a duration"
        );
        assert_eq!(listener.only("read").fields["bytes"], State::BYTES.to_string());

        let sums = sums(&listener);
        assert_eq!((sums.inside, &*sums.fields["message"]), (Some("load"), "loaded"));
        assert_eq!(sums.fields["bytes"], State::BYTES.to_string());
        let each: f64 = phases.iter().map(|phase| milliseconds(&sums, phase)).sum();
        assert!(each <= milliseconds(&sums, "total"), "none is counted twice: {sums:?}");
    }
}

#[test]
fn opening_has_its_index_and_a_load_from_what_is_open_has_none() {
    listener::prepare();
    let fabric = saved();
    let listener = Listener::new();
    let raw = listener.listen(|| fabric.open("last")).expect("a checkpoint");
    assert_eq!(listener.only("index").inside, Some("open"));
    let listener = Listener::new();
    listener.listen(|| raw.load(&mut State::new())).expect("loaded");
    assert_eq!(listener.phases("load"), ["match", "read"]);
    assert_eq!(listener.only("load").fields["path"], "last");
}

#[test]
fn the_spans_of_a_save_in_the_background_are_inside_of_the_calls() {
    let listener = Listener::new();
    let fabric = on(Memory::new());
    let saving = listener
        .listen(|| fabric.save_async("last", &State::new()))
        .expect("started");
    saving.wait().expect("saved");
    assert_eq!(listener.only("save").fields["background"], "true");
    assert_eq!(listener.phases("save"), ["commit", "plan", "snapshot", "sync", "write"]);
    assert_eq!(listener.only("snapshot").fields["bytes"], State::BYTES.to_string());
    let sums = sums(&listener);
    assert_eq!(sums.inside, Some("save"));
    assert!(milliseconds(&sums, "snapshot") > 0.);
}

/// A fabric of which the first save in the background fails, when the new file is to get its name.
fn failing() -> Fabric {
    let log = {
        let healthy = Faulty::new(Memory::new());
        let fabric = on(healthy.clone());
        fabric
            .save_async("last", &State::new())
            .and_then(Saving::wait)
            .expect("saved");
        healthy.log()
    };
    let rename = log.iter().position(|operation| operation.starts_with("rename"));
    let rename = rename.unwrap_or_else(|| panic!("{log:?}"));
    on(Faulty::new(Memory::new()).with_fault(rename, Fault::Error(io::ErrorKind::StorageFull)))
}

#[test]
fn an_error_that_nobody_waits_for_is_logged_when_it_happens_and_returned_by_the_next_save() {
    let listener = Listener::new();
    let fabric = failing();
    let saving = listener
        .listen(|| fabric.save_async("last", &State::new()))
        .expect("started");
    while !saving.is_finished() {
        thread::yield_now();
    }
    let logged = listener.events();
    let [error] = &logged[..] else { panic!("{logged:?}") };
    assert_eq!((error.level, error.inside), (Level::ERROR, Some("save")));
    assert_eq!(error.fields["path"], "last");
    assert!(error.fields["error"].contains("could not rename"), "{error:?}");
    saving.detach();
    let error = fabric.save("last", &State::new()).expect_err("the earlier one failed");
    assert!(matches!(error, Error::Background { .. }), "{error}");
}

#[test]
fn an_error_that_the_caller_is_given_is_no_news_for_a_log() {
    let listener = Listener::new();
    let fabric = on(Faulty::new(Memory::new()).with_fault(0, Fault::Stop));
    let error = listener.listen(|| fabric.save("last", &State::new()));
    let error = error.expect_err("no room").to_string();
    let missing = listener.listen(|| fabric.load("first", &mut State::new()));
    let missing = missing.expect_err("nothing there").to_string();
    let said: Vec<_> = listener
        .events()
        .into_iter()
        .map(|said| (said.level, said.fields["error"].clone()))
        .collect();
    assert_eq!(said, [(Level::DEBUG, error), (Level::DEBUG, missing)]);
}

#[derive(Checkpoint)]
struct Part {
    #[checkpoint(shard(dim = 1, axis = "fsdp"))]
    matrix: Tensor,
}

#[test]
fn each_rank_has_spans_of_its_own() {
    let memory = Memory::new();
    let listeners = [Listener::new(), Listener::new()];
    thread::scope(|scope| {
        for (group, listener) in ThreadGroup::new(2).into_iter().zip(&listeners) {
            let memory = memory.clone();
            scope.spawn(move || {
                let fabric = Fabric::builder().strategy(Strategy::fsdp()).process_group(group);
                let fabric = fabric.storage(memory).build().expect("two ranks");
                let matrix = Tensor::full(1f32, (300, 1000), &Device::Cpu).expect("memory");
                let mut part = Part { matrix };
                listener.listen(|| fabric.save("run", &part)).expect("saved");
                listener.listen(|| fabric.load("run", &mut part)).expect("loaded");
            });
        }
    });
    for (rank, listener) in listeners.iter().enumerate() {
        for call in ["save", "load"] {
            assert_eq!(listener.only(call).fields["rank"], rank.to_string());
        }
        let saves = ["commit", "plan", "sync", "write"];
        let own = if rank == 0 {
            &saves[..]
        } else {
            &["plan", "sync", "write"]
        };
        assert_eq!(listener.phases("save"), own, "rank 0 commits");
        assert_eq!(listener.only("read").fields["bytes"], (4 * 300 * 1000).to_string());
        assert_eq!(listener.events().len(), 2);
    }
}

#[test]
fn an_export_another_layout_and_a_delta_have_theirs() {
    listener::prepare();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let fabric = Fabric::new();
    fabric.save(path("last.ckpt"), &State::new()).expect("saved");
    let listener = Listener::new();
    listener.listen(|| {
        let exported = fabric.export(path("last.ckpt"), path("last.pt"), fabric_core::ExportOptions::new());
        assert!(exported.expect("exported").bytes > State::BYTES);
        let laid_out = fabric.reshard(path("last.ckpt"), path("run"), Strategy::fsdp().ranks(2));
        assert!(laid_out.expect("laid out").bytes > State::BYTES);
    });
    let base = path("base.safetensors");
    fabric
        .export(path("last.ckpt"), &base, fabric_core::ExportOptions::new())
        .expect("exported");
    let options = fabric_core::DeltaOptions::new();
    fabric
        .export_delta(path("last.ckpt"), &base, path("delta"), options)
        .expect("a delta");
    listener.listen(|| {
        let applied = fabric.apply_delta(&base, path("delta"), &base);
        assert!(applied.expect("applied").bytes > State::BYTES);
    });
    for call in ["export", "reshard", "apply"] {
        assert_eq!(listener.phases(call), ["commit", "sync", "write"], "{call}");
        assert!(listener.only(call).fields.contains_key("bytes"), "{call}");
    }
}
