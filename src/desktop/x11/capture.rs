//! Pictures a window by its own pixmap, whatever lies above it.
//!
//! The server gives a window a pixmap of its own when asked to, and fills it with what the screen has: where another
//! window lies, with that one's pixels or with none. So the parts that were covered have to be drawn first. The server
//! tells which they are (it exposes them) and when they were drawn (their damage).

use std::time::{Duration, Instant};

use x11rb::{
    connection::Connection as _,
    errors::ConnectionError,
    protocol::{
        Event,
        composite::{self, Redirect},
        damage::{self, ReportLevel},
        xproto::{ConnectionExt as _, EventMask, ExposeEvent, GetImageReply, ImageFormat, ImageOrder},
    },
};

use super::connection::{Connection, Fault};
use crate::desktop::{Picture, Rect, WindowRef, region::Region};

/// Longest wait for what was covered: a page is drawn again within some frames, on a busy machine within dozens.
const DRAWN_MAX: Duration = Duration::from_secs(2);
/// Largest picture: a screen of 8K, some 130 MB.
const PIXELS_MAX: u64 = 7680 * 4320;
/// Versions that know named pixmaps, and damage of windows.
const COMPOSITE_VERSION: (u32, u32) = (0, 4);
const DAMAGE_VERSION: (u32, u32) = (1, 1);

pub(super) fn capture(on: &Connection, window: WindowRef) -> Result<Picture, Fault> {
    on.prove(window)?;
    let lacks = |extension| {
        move |error| match error {
            ConnectionError::UnsupportedExtension => Fault::Lacks(extension, "windows cannot be pictured"),
            other => Fault::from(other),
        }
    };
    composite::query_version(&on.x, COMPOSITE_VERSION.0, COMPOSITE_VERSION.1).map_err(lacks("Composite"))?.reply()?;
    damage::query_version(&on.x, DAMAGE_VERSION.0, DAMAGE_VERSION.1).map_err(lacks("Damage"))?.reply()?;
    let covered = redirect(on, window.id)?;
    wait_until_drawn(on, window.id, covered)?;
    let pixmap = on.x.generate_id()?;
    composite::name_window_pixmap(&on.x, window.id, pixmap)?.check()?;
    let size = on.x.get_geometry(pixmap)?.reply()?;
    if u64::from(size.width) * u64::from(size.height) > PIXELS_MAX {
        return Err(Fault::Format(format!("{} x {} pixels", size.width, size.height)));
    }
    let image = on.x.get_image(ImageFormat::Z_PIXMAP, pixmap, 0, 0, size.width, size.height, u32::MAX)?.reply()?;
    // The pixmap and all else goes with the connection.
    picture(on, u32::from(size.width), u32::from(size.height), &image)
}

/// Gives the window a pixmap of its own, and says which parts of it nobody had to draw so far.
fn redirect(on: &Connection, window: u32) -> Result<Region, Fault> {
    let children = on.x.query_tree(window)?.reply()?.children;
    for part in children.iter().chain([&window]) {
        on.hear_of(*part, EventMask::EXPOSURE)?;
    }
    let report = on.x.generate_id()?;
    // Nobody draws in between, so that what is reported from here on was drawn after it was exposed.
    on.x.grab_server()?;
    let exposed = exposed_by_redirect(on, window, report);
    on.x.ungrab_server()?;
    on.x.flush()?;
    let mut covered = Region::default();
    for expose in exposed? {
        let offset = on.x.translate_coordinates(expose.window, window, 0, 0)?.reply()?;
        covered.add(Rect {
            x: i32::from(expose.x) + i32::from(offset.dst_x),
            y: i32::from(expose.y) + i32::from(offset.dst_y),
            width: expose.width.into(),
            height: expose.height.into(),
        });
    }
    Ok(covered)
}

fn exposed_by_redirect(on: &Connection, window: u32, report: u32) -> Result<Vec<ExposeEvent>, Fault> {
    let redirected = composite::redirect_window(&on.x, window, Redirect::AUTOMATIC)?;
    let reported = damage::create(&on.x, report, window, ReportLevel::RAW_RECTANGLES)?;
    redirected.check()?;
    reported.check()?;
    // All that was exposed has arrived; a report begins with the whole window, which says nothing.
    let mut exposed = Vec::new();
    while let Some(event) = on.x.poll_for_event()? {
        if let Event::Expose(expose) = event {
            exposed.push(expose);
        }
    }
    Ok(exposed)
}

fn wait_until_drawn(on: &Connection, window: u32, mut covered: Region) -> Result<(), Fault> {
    let deadline = Instant::now() + DRAWN_MAX;
    while !covered.is_empty() {
        match on.next_event(deadline)? {
            Some(Event::DamageNotify(drawn)) if drawn.drawable == window => covered.subtract(Rect {
                x: drawn.area.x.into(),
                y: drawn.area.y.into(),
                width: drawn.area.width.into(),
                height: drawn.area.height.into(),
            }),
            Some(_) => {}
            None => return Err(Fault::NotDrawn),
        }
    }
    Ok(())
}

/// Puts the server's pixels in order.
fn picture(on: &Connection, width: u32, height: u32, image: &GetImageReply) -> Result<Picture, Fault> {
    let setup = on.x.setup();
    let format = setup.pixmap_formats.iter().find(|format| format.depth == image.depth);
    if !matches!(image.depth, 24 | 32) || format.is_none_or(|format| format.bits_per_pixel != 32) {
        return Err(Fault::Format(format!("colours of {} bits", image.depth)));
    }
    let mut rgba = Vec::with_capacity(image.data.len());
    for pixel in image.data.chunks_exact(4) {
        let (red, green, blue) = if setup.image_byte_order == ImageOrder::LSB_FIRST {
            (pixel[2], pixel[1], pixel[0])
        } else {
            (pixel[1], pixel[2], pixel[3])
        };
        rgba.extend([red, green, blue, u8::MAX]);
    }
    if rgba.len() as u64 != u64::from(width) * u64::from(height) * 4 {
        return Err(Fault::Lost("its picture has another size than its window".to_owned()));
    }
    Ok(Picture { width, height, rgba })
}
