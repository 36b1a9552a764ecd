//! A subscriber that writes down which spans there were, inside of which others, and what they said.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

pub(crate) type Fields = BTreeMap<String, String>;

/// A span, from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    /// The name of the span that it is inside of.
    pub(crate) inside: Option<&'static str>,
    pub(crate) fields: Fields,
    pub(crate) entered: bool,
}

/// What was said at one moment, and inside of which span.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) level: Level,
    pub(crate) inside: Option<&'static str>,
    pub(crate) fields: Fields,
}

#[derive(Debug, Default)]
struct Notes {
    spans: Vec<Seen>,
    events: Vec<Said>,
    entered: BTreeMap<String, Vec<usize>>,
}

/// Hears what has the target `fabric`.
#[derive(Clone, Debug)]
pub(crate) struct Listener(Arc<Mutex<Notes>>);

/// To be called before anything that could be heard. As long as there is one subscriber in a program, `tracing` asks only
/// that of the thread that comes to a span first, and keeps the answer for all threads: so there are always two more.
pub(crate) fn prepare() {
    static OTHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    let other = || Dispatch::new(Listener(Arc::default()));
    OTHERS.get_or_init(|| [other(), other()]);
}

impl Listener {
    pub(crate) fn new() -> Self {
        prepare();
        Self(Arc::default())
    }

    /// Listens to what happens in `work`.
    pub(crate) fn listen<T>(&self, work: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&Dispatch::new(self.clone()), work)
    }

    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.notes().spans.clone()
    }

    pub(crate) fn events(&self) -> Vec<Said> {
        self.notes().events.clone()
    }

    /// The spans inside of `call`, each name once, sorted.
    pub(crate) fn phases(&self, call: &str) -> Vec<&'static str> {
        let inside = |span: &Seen| (span.inside == Some(call)).then_some(span.name);
        let mut names: Vec<_> = self.spans().iter().filter_map(inside).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The only span of a name.
    pub(crate) fn only(&self, name: &str) -> Seen {
        let found: Vec<Seen> = self.spans().into_iter().filter(|span| span.name == name).collect();
        let [one] = &found[..] else { panic!("{name}: {found:?}") };
        one.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().expect("no panic")
    }
}

fn here() -> String {
    let id: ThreadId = std::thread::current().id();
    format!("{id:?}")
}

fn place(id: &Id) -> usize {
    usize::try_from(id.into_u64()).expect("few") - 1
}

impl Notes {
    fn current(&self) -> Option<usize> {
        self.entered.get(&here())?.last().copied()
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "fabric"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut notes = self.notes();
        let parent = match span.parent() {
            Some(parent) => Some(place(parent)),
            None if span.is_contextual() => notes.current(),
            None => None,
        };
        let mut fields = Fields::new();
        span.record(&mut Collect(&mut fields));
        let seen = Seen {
            name: span.metadata().name(),
            inside: parent.map(|parent| notes.spans[parent].name),
            fields,
            entered: false,
        };
        notes.spans.push(seen);
        Id::from_u64(notes.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Collect(&mut self.notes().spans[place(span)].fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Collect(&mut fields));
        let mut notes = self.notes();
        let inside = notes.current().map(|at| notes.spans[at].name);
        let level = *event.metadata().level();
        notes.events.push(Said { level, inside, fields });
    }

    fn enter(&self, span: &Id) {
        let mut notes = self.notes();
        notes.spans[place(span)].entered = true;
        notes.entered.entry(here()).or_default().push(place(span));
    }

    fn exit(&self, span: &Id) {
        let mut notes = self.notes();
        let left = notes.entered.get_mut(&here()).and_then(Vec::pop);
        assert_eq!(left, Some(place(span)), "spans are left in the reverse of their order");
    }
}

struct Collect<'f>(&'f mut Fields);

impl Visit for Collect<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
