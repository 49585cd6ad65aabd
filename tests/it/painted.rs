//! Windows of the test's own on a display: one colour each, drawn whenever the server asks for it.

use std::thread::JoinHandle;

use comet_task_runner::desktop::WindowRef;
use x11rb::{
    connection::Connection,
    protocol::{
        Event,
        xproto::{
            AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux,
            EventMask, ImageFormat, PropMode, Rectangle, StackMode, WindowClass,
        },
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

use super::display::Display;

/// A connection to a display, for what a test looks at beside the service.
pub(crate) struct Screen {
    pub(crate) x: RustConnection,
    pub(crate) root: u32,
}

impl Screen {
    pub(crate) fn of(display: &Display) -> Self {
        let (x, screen) = x11rb::connect(Some(&display.name)).unwrap();
        let root = x.setup().roots[screen].root;
        Self { x, root }
    }

    /// What a person sees at this place: red, green, blue.
    pub(crate) fn pixel(&self, x: i32, y: i32) -> [u8; 3] {
        pixel(&self.x, self.root, x, y).expect("the root is always there")
    }

    /// What reading the window itself gives at this place within it; none when the server refuses.
    pub(crate) fn pixel_of(&self, window: u32, x: i32, y: i32) -> Option<[u8; 3]> {
        pixel(&self.x, window, x, y)
    }
}

fn pixel(connection: &RustConnection, drawable: u32, x: i32, y: i32) -> Option<[u8; 3]> {
    let (x, y) = (i16::try_from(x).unwrap(), i16::try_from(y).unwrap());
    let asked = connection.get_image(ImageFormat::Z_PIXMAP, drawable, x, y, 1, 1, u32::MAX).unwrap();
    let data = asked.reply().ok()?.data;
    Some([data[2], data[1], data[0]])
}

/// Words to a window's own thread: it is over, or it is to draw no more.
const OVER: u32 = 1;
const FREEZE: u32 = 2;

/// A window of one colour. Its process is the test's.
pub(crate) struct Painted {
    pub(crate) at: WindowRef,
    x: RustConnection,
    thread: Option<JoinHandle<()>>,
}

impl Painted {
    /// Shows a window of 300 by 200 pixels, and returns once it was drawn.
    pub(crate) fn show(display: &Display, title: &str, colour: u32, (left, top): (i16, i16)) -> Self {
        let (x, screen) = x11rb::connect(Some(&display.name)).unwrap();
        let root = &x.setup().roots[screen];
        let window = x.generate_id().unwrap();
        let look = CreateWindowAux::new().event_mask(EventMask::EXPOSURE);
        let class = WindowClass::INPUT_OUTPUT;
        x.create_window(x11rb::COPY_DEPTH_FROM_PARENT, window, root.root, left, top, 300, 200, 0, class, 0, &look)
            .unwrap();
        let title = title.as_bytes();
        x.change_property8(PropMode::REPLACE, window, AtomEnum::WM_NAME, AtomEnum::STRING, title).unwrap();
        // The position is the person's, so that the manager leaves the window there.
        let mut sizes = [0; 18];
        sizes[0] = 1;
        let hints = AtomEnum::WM_SIZE_HINTS;
        x.change_property32(PropMode::REPLACE, window, AtomEnum::WM_NORMAL_HINTS, hints, &sizes).unwrap();
        x.map_window(window).unwrap();
        x.flush().unwrap();
        let name = display.name.clone();
        let (told, shown) = std::sync::mpsc::channel();
        let painting = move |x: RustConnection| {
            let paint = x.generate_id().unwrap();
            x.create_gc(paint, window, &CreateGCAux::new().foreground(colour)).unwrap();
            let mut frozen = false;
            loop {
                match x.wait_for_event().unwrap() {
                    Event::Expose(_) if !frozen => {
                        let all = Rectangle { x: 0, y: 0, width: 2000, height: 2000 };
                        x.poly_fill_rectangle(window, paint, &[all]).unwrap();
                        x.sync().unwrap();
                        let _ = told.send(());
                    }
                    Event::ClientMessage(message) if message.type_ == OVER => return,
                    Event::ClientMessage(message) if message.type_ == FREEZE => frozen = true,
                    _ => {}
                }
            }
        };
        let thread = std::thread::spawn(move || painting(x));
        shown.recv_timeout(super::service::SOON).expect("the window is drawn");
        let (x, _) = x11rb::connect(Some(&name)).unwrap();
        Self { at: WindowRef { id: window, pid: std::process::id() }, x, thread: Some(thread) }
    }

    /// Has the window drawn no more.
    pub(crate) fn freeze(&self) {
        self.tell(FREEZE);
    }

    /// Asks the window manager to minimise the window, as its button does.
    pub(crate) fn minimise(&self, screen: &Screen) {
        let wish = self.x.intern_atom(false, b"WM_CHANGE_STATE").unwrap().reply().unwrap().atom;
        let asked = ClientMessageEvent::new(32, self.at.id, wish, [3u32, 0, 0, 0, 0]);
        let hearers = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        self.x.send_event(false, screen.root, hearers, asked).unwrap();
        self.x.flush().unwrap();
    }

    fn tell(&self, word: u32) {
        let message = ClientMessageEvent::new(32, self.at.id, word, [0; 5]);
        self.x.send_event(false, self.at.id, EventMask::NO_EVENT, message).unwrap();
        self.x.sync().unwrap();
    }

    /// Puts the window above all others, and returns once the server has done so.
    pub(crate) fn raise(&self) {
        let above = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        self.x.configure_window(self.at.id, &above).unwrap();
        self.x.sync().unwrap();
    }
}

impl Drop for Painted {
    fn drop(&mut self) {
        self.tell(OVER);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}
