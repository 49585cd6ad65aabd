//! A connection to an X server that never waits past its deadline, and the plain requests that the rest is made of.

use std::{cell::Cell, io, os::fd::AsFd, time::Instant};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use x11rb::{
    connection::Connection as _,
    errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError},
    protocol::{
        ErrorKind, Event,
        res::{self, ClientIdMask, ClientIdSpec},
        xproto::{
            Atom, AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, EventMask,
            GetPropertyReply,
        },
    },
    reexports::x11rb_protocol::{parse_display::parse_display, xauth::get_auth},
    rust_connection::{DefaultStream, PollMode, RustConnection, Stream},
    utils::RawFdContainer,
};

use crate::desktop::{CALL_MAX, WindowRef};

/// Most words read of a property: the lists of clients are the longest.
const PROPERTY_WORDS_MAX: u32 = 4096;

x11rb::atom_manager! {
    /// The names that desktops agreed on.
    pub(super) Atoms: AtomsCookie {
        UTF8_STRING,
        WM_STATE,
        WM_WINDOW_ROLE,
        _GTK_FRAME_EXTENTS,
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_CLIENT_LIST_STACKING,
        _NET_CURRENT_DESKTOP,
        _NET_FRAME_EXTENTS,
        _NET_MOVERESIZE_WINDOW,
        _NET_SUPPORTED,
        _NET_SUPPORTING_WM_CHECK,
        _NET_WM_NAME,
        _NET_WM_STATE,
        _NET_WM_STATE_ABOVE,
        _NET_WM_STATE_FULLSCREEN,
        _NET_WM_STATE_HIDDEN,
        _NET_WM_STATE_MAXIMIZED_HORZ,
        _NET_WM_STATE_MAXIMIZED_VERT,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DIALOG,
        _NET_WM_WINDOW_TYPE_DOCK,
        _NET_WORKAREA,
    }
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// The window is gone.
    Gone,
    /// The window is not shown.
    NotShown,
    /// What was covered was not drawn in time.
    NotDrawn,
    /// It has a form that cannot be pictured.
    Format(String),
    /// The server lacks an extension, without which this is not known.
    Lacks(&'static str, &'static str),
    /// The connection is of no use any more.
    Lost(String),
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::IoError(error) => error.into(),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            Self::Lost(format!("it said nothing for {} s", CALL_MAX.as_secs()))
        } else {
            Self::Lost(error.to_string())
        }
    }
}

impl From<ReplyError> for Fault {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) => match error.error_kind {
                ErrorKind::Window | ErrorKind::Drawable | ErrorKind::Pixmap => Self::Gone,
                ErrorKind::Match => Self::NotShown,
                kind => Self::Lost(format!("it refused {} ({kind:?})", error.request_name.unwrap_or("a request"))),
            },
        }
    }
}

impl From<ReplyOrIdError> for Fault {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::IdsExhausted => Self::Lost("it has no numbers left".to_owned()),
            ReplyOrIdError::ConnectionError(error) => error.into(),
            ReplyOrIdError::X11Error(error) => ReplyError::X11Error(error).into(),
        }
    }
}

impl From<ConnectError> for Fault {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::IoError(error) => error.into(),
            other => Self::Lost(other.to_string()),
        }
    }
}

/// The server's stream, with an end to every wait.
pub(super) struct Bounded {
    stream: DefaultStream,
    until: Cell<Instant>,
}

impl Stream for Bounded {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, mode.readable());
        wanted.set(PollFlags::OUT, mode.writable());
        loop {
            let left = self.until.get().saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::from_borrowed_fd(AsFd::as_fd(&self.stream), wanted)], Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&self, buffer: &mut [u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.read(buffer, fds)
    }

    fn write(&self, buffer: &[u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write(buffer, fds)
    }
}

/// A connection, for one call.
pub(super) struct Connection {
    pub(super) x: RustConnection<Bounded>,
    pub(super) root: u32,
    pub(super) atoms: Atoms,
    until: Instant,
}

impl Connection {
    pub(super) fn open(display: &str) -> Result<Self, Fault> {
        let until = Instant::now() + CALL_MAX;
        let parsed = parse_display(Some(display)).map_err(|error| Fault::Lost(error.to_string()))?;
        let mut refused = None;
        for address in parsed.connect_instruction() {
            let (stream, (family, peer)) = match DefaultStream::connect(&address) {
                Ok(connected) => connected,
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            // A display without a cookie lets in whom it knows otherwise.
            let (name, cookie) = get_auth(family, &peer, parsed.display).ok().flatten().unwrap_or_default();
            let stream = Bounded { stream, until: Cell::new(until) };
            let screen = usize::from(parsed.screen);
            let x = RustConnection::connect_to_stream_with_auth_info(stream, screen, name, cookie)?;
            let root = x.setup().roots.get(screen).ok_or_else(|| Fault::Lost("it has no such screen".to_owned()))?.root;
            let atoms = Atoms::new(&x)?.reply()?;
            return Ok(Self { x, root, atoms, until });
        }
        Err(refused.map_or_else(|| Fault::Lost("it names no server".to_owned()), Fault::from))
    }

    /// The next event; none when the deadline passes first.
    pub(super) fn next_event(&self, deadline: Instant) -> Result<Option<Event>, Fault> {
        self.x.flush()?;
        self.x.stream().until.set(deadline.min(self.until));
        let event = self.x.wait_for_event();
        self.x.stream().until.set(self.until);
        match event {
            Ok(event) => Ok(Some(event)),
            Err(ConnectionError::IoError(error)) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hears of these events of a window, and of no other ones.
    pub(super) fn hear_of(&self, window: u32, events: EventMask) -> Result<(), Fault> {
        let events = ChangeWindowAttributesAux::new().event_mask(events);
        Ok(self.x.change_window_attributes(window, &events)?.check()?)
    }

    /// The process that made a window, as the server itself knows it; none for one that is gone or came from elsewhere.
    pub(super) fn owners(&self, windows: &[u32]) -> Result<Vec<Option<u32>>, Fault> {
        let asked = windows.iter().map(|window| {
            let spec = ClientIdSpec { client: *window, mask: ClientIdMask::LOCAL_CLIENT_PID };
            res::query_client_ids(&self.x, &[spec])
        });
        let asked: Vec<_> = asked.collect::<Result<_, _>>().map_err(|error| match error {
            ConnectionError::UnsupportedExtension => Fault::Lacks("X-Resource", "whose a window is cannot be known"),
            other => other.into(),
        })?;
        let mut owners = Vec::with_capacity(asked.len());
        for asked in asked {
            let pid = match asked.reply() {
                Ok(reply) => reply.ids.first().and_then(|id| id.value.first().copied()),
                Err(ReplyError::X11Error(_)) => None,
                Err(error) => return Err(error.into()),
            };
            owners.push(pid.filter(|pid| *pid > 0));
        }
        Ok(owners)
    }

    /// Has the server say that the window is still this process's.
    pub(super) fn prove(&self, window: WindowRef) -> Result<(), Fault> {
        let owners = self.owners(&[window.id])?;
        if owners.first().copied().flatten() == Some(window.pid) { Ok(()) } else { Err(Fault::Gone) }
    }

    /// A property; empty when it is not set.
    pub(super) fn property(&self, window: u32, name: Atom) -> Result<GetPropertyReply, Fault> {
        Ok(self.x.get_property(false, window, name, AtomEnum::ANY, 0, PROPERTY_WORDS_MAX)?.reply()?)
    }

    /// Its numbers; none of a property of another form.
    pub(super) fn numbers(&self, window: u32, name: Atom) -> Result<Vec<u32>, Fault> {
        let property = self.property(window, name)?;
        Ok(property.value32().map(Iterator::collect).unwrap_or_default())
    }

    /// Asks the window manager for something about a window, as the tools that people use do.
    pub(super) fn ask_manager(&self, window: u32, what: Atom, words: [u32; 5]) -> Result<(), Fault> {
        let message = ClientMessageEvent::new(32, window, what, words);
        let hearers = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        Ok(self.x.send_event(false, self.root, hearers, message)?.check()?)
    }
}
