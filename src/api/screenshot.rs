//! Pictures of tasks: from the message to what is asked for, and back.

use super::{convert::timestamp, status::Violation, v1};
use crate::runner::{Area, CaptureOrder, CaptureSource, Encoding, Screenshot, Source, What};

/// Quality of a JPEG when none is given: no loss that a person would see.
const QUALITY_DEFAULT: u32 = 80;
/// Longest selector: ten times what tools write.
const SELECTOR_BYTES_MAX: usize = 1024;
/// Farthest that a page can reach, in CSS pixels: what browsers lay out.
const REACH_MAX: f64 = 33_554_428.0;

pub(super) fn order(request: &v1::CaptureScreenshotRequest) -> Result<CaptureOrder, Vec<Violation>> {
    let mut faults = Vec::new();
    let mut tell = |field: &str, reason, words: String| faults.push(Violation::new(field, reason, words));
    let encoding = encoding(request, &mut tell);
    let source = source(request.source, &mut tell);
    let what = what(request.area.as_ref(), &mut tell);
    if source == CaptureSource::Window && what != What::Viewport {
        let words = "is a part of a page, which a window's picture is not; leave one of the two out".to_owned();
        tell("source", "AREA_NEEDS_PAGE", words);
    }
    if faults.is_empty() { Ok(CaptureOrder { encoding, what, source }) } else { Err(faults) }
}

fn encoding(request: &v1::CaptureScreenshotRequest, tell: &mut impl FnMut(&str, &'static str, String)) -> Encoding {
    use v1::screenshot::Format as Wire;
    let format = Wire::try_from(request.format);
    match (format, request.quality) {
        (Ok(Wire::Unspecified | Wire::Png), None) => Encoding::Png,
        (Ok(Wire::Unspecified | Wire::Png), Some(_)) => {
            tell("quality", "QUALITY_INVALID", "goes with JPEG only; leave it out with PNG".to_owned());
            Encoding::Png
        }
        (Ok(Wire::Jpeg), quality) => {
            let quality = quality.unwrap_or(QUALITY_DEFAULT);
            let fits = u8::try_from(quality).ok().filter(|quality| (1..=100).contains(quality));
            let quality = fits.unwrap_or_else(|| {
                tell("quality", "QUALITY_INVALID", format!("{quality} is not a quality; give 1 to 100"));
                1
            });
            Encoding::Jpeg { quality }
        }
        (Err(_), _) => {
            tell("format", "ENUM_UNKNOWN", format!("{} is not a format; give PNG or JPEG", request.format));
            Encoding::Png
        }
    }
}

fn source(value: i32, tell: &mut impl FnMut(&str, &'static str, String)) -> CaptureSource {
    use v1::screenshot::Source as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Unspecified | Wire::Auto) => CaptureSource::Auto,
        Ok(Wire::Page) => CaptureSource::Page,
        Ok(Wire::Window) => CaptureSource::Window,
        Err(_) => {
            tell("source", "ENUM_UNKNOWN", format!("{value} is not a source; give AUTO, PAGE or WINDOW"));
            CaptureSource::Auto
        }
    }
}

fn what(
    area: Option<&v1::capture_screenshot_request::Area>,
    tell: &mut impl FnMut(&str, &'static str, String),
) -> What {
    use v1::capture_screenshot_request::Area as Wire;
    match area {
        None | Some(Wire::FullPage(false)) => What::Viewport,
        Some(Wire::FullPage(true)) => What::FullPage,
        Some(Wire::Selector(selector)) => {
            if selector.is_empty() {
                tell("selector", "SELECTOR_INVALID", "is empty; give a CSS selector such as \"#total\"".to_owned());
            } else if selector.len() > SELECTOR_BYTES_MAX {
                let length = selector.len();
                let words = format!("has {length} bytes; at most {SELECTOR_BYTES_MAX} are taken");
                tell("selector", "SELECTOR_INVALID", words);
            }
            What::Selector(selector.clone())
        }
        Some(Wire::Region(v1::capture_screenshot_request::Region { x, y, width, height })) => {
            // Neither infinite nor none at all.
            let places = [x, y].into_iter().all(|place| (0.0..=REACH_MAX).contains(place));
            if !places || [width, height].into_iter().any(|side| !(*side > 0.0 && *side <= REACH_MAX)) {
                let words = "is no part of a page; give x and y from 0 on, and a width and a height above 0";
                tell("region", "REGION_INVALID", words.to_owned());
            }
            What::Region(Area { x: *x, y: *y, width: *width, height: *height })
        }
    }
}

impl From<Screenshot> for v1::Screenshot {
    fn from(taken: Screenshot) -> Self {
        use v1::screenshot::{Format, Source as Wire};
        let format = match taken.encoding {
            Encoding::Png => Format::Png,
            Encoding::Jpeg { .. } => Format::Jpeg,
        };
        let source = match taken.source {
            Source::Page => Wire::Page,
            Source::Window => Wire::Window,
        };
        Self {
            image: taken.image,
            format: format.into(),
            width: taken.width,
            height: taken.height,
            source: source.into(),
            captured_at: Some(timestamp(taken.at)),
            truncated: taken.truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use v1::{
        capture_screenshot_request::{Area as Wire, Region},
        screenshot,
    };

    use super::*;

    fn refused(request: &v1::CaptureScreenshotRequest) -> Vec<(String, &'static str)> {
        order(request).unwrap_err().into_iter().map(|fault| (fault.field, fault.reason)).collect()
    }

    fn asking(area: Wire) -> v1::CaptureScreenshotRequest {
        v1::CaptureScreenshotRequest { area: Some(area), ..Default::default() }
    }

    #[test]
    fn nothing_said_is_a_png_of_what_is_to_be_seen() {
        let wanted = CaptureOrder { encoding: Encoding::Png, what: What::Viewport, source: CaptureSource::Auto };
        assert_eq!(order(&v1::CaptureScreenshotRequest::default()), Ok(wanted.clone()));
        assert_eq!(order(&asking(Wire::FullPage(false))), Ok(wanted));
    }

    #[test]
    fn every_field_at_fault_is_told_at_once() {
        let request = v1::CaptureScreenshotRequest {
            quality: Some(50),
            source: 9,
            area: Some(Wire::Selector(String::new())),
            ..Default::default()
        };
        let told = [("quality", "QUALITY_INVALID"), ("source", "ENUM_UNKNOWN"), ("selector", "SELECTOR_INVALID")];
        assert_eq!(refused(&request), told.map(|(field, reason)| (field.to_owned(), reason)));
        let jpeg = screenshot::Format::Jpeg.into();
        for quality in [0, 101, 300] {
            let request = v1::CaptureScreenshotRequest { format: jpeg, quality: Some(quality), ..Default::default() };
            assert_eq!(refused(&request), [("quality".to_owned(), "QUALITY_INVALID")]);
        }
    }

    #[test]
    fn a_region_has_a_place_and_a_size() {
        let region = |x, y, width, height| asking(Wire::Region(Region { x, y, width, height }));
        assert!(order(&region(0.0, 10.5, 1.0, 2.0)).is_ok());
        for (x, y, width, height) in
            [(-1.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0), (0.0, f64::NAN, 1.0, 1.0), (0.0, 0.0, f64::INFINITY, 1.0)]
        {
            assert_eq!(refused(&region(x, y, width, height)), [("region".to_owned(), "REGION_INVALID")]);
        }
    }

    #[test]
    fn a_part_of_the_page_does_not_come_from_a_window() {
        let request =
            v1::CaptureScreenshotRequest { source: screenshot::Source::Window.into(), ..asking(Wire::FullPage(true)) };
        assert_eq!(refused(&request), [("source".to_owned(), "AREA_NEEDS_PAGE")]);
    }
}
