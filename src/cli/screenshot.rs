//! `screenshot`: takes a picture of a task and writes it to a file.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::Printer,
};
use crate::api::v1::{
    self, CaptureScreenshotRequest, Screenshot as Picture,
    capture_screenshot_request::{Area, Region},
};

/// Arguments of `screenshot`.
#[derive(Debug, Args)]
pub(super) struct Screenshot {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    /// Where to write it; - for standard output [default: ID.png or ID.jpg]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// All of the page, not only what is to be seen
    #[arg(long, group = "area")]
    full_page: bool,
    /// The first element that this finds
    #[arg(long, value_name = "CSS", group = "area")]
    selector: Option<String>,
    /// A part of the page, in CSS pixels from its top left corner
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", group = "area", value_parser = region)]
    region: Option<Region>,
    /// How it is encoded [default: as the file's name says, else png]
    #[arg(long, value_enum)]
    format: Option<Encoding>,
    /// From 1 to 100, with jpeg only [default: 80]
    #[arg(long, value_name = "N")]
    quality: Option<u32>,
    /// Where it may come from: the page, or its window where the page cannot answer
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    source: Source,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    printing: Format,
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    Png,
    Jpeg,
}

/// Where a picture may come from.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    Auto,
    Page,
    Window,
}

impl Screenshot {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let format = self.format.unwrap_or_else(|| self.output.as_deref().map_or(Encoding::Png, of_name));
        let file = self.output.clone().unwrap_or_else(|| {
            PathBuf::from(&self.task_id).with_extension(match format {
                Encoding::Png => "png",
                Encoding::Jpeg => "jpg",
            })
        });
        let printing = self.printing;
        let mut client = self.reach.target()?.connect().await?;
        let mut answer = client.capture_screenshot(self.request(format)).await?.into_inner();
        let mut picture = answer.screenshot.take().unwrap_or_default();
        let image = std::mem::take(&mut picture.image);
        if file == Path::new("-") {
            let mut out = io::stdout().lock();
            out.write_all(&image)?;
            out.flush()?;
            return Ok(Exit::Done);
        }
        fs::write(&file, &image)
            .map_err(|error| Problem::Usage(format!("{} cannot be written: {error}", file.display())))?;
        // What is in the file is not printed once more.
        Printer::new(printing).print("Screenshot", &picture, || line(&file, &picture, image.len()))?;
        Ok(Exit::Done)
    }

    fn request(self, format: Encoding) -> CaptureScreenshotRequest {
        use v1::screenshot::{Format, Source as Wire};
        let area = self.selector.map(Area::Selector).or(self.region.map(Area::Region));
        CaptureScreenshotRequest {
            task_id: self.task_id,
            format: match format {
                Encoding::Png => Format::Png.into(),
                Encoding::Jpeg => Format::Jpeg.into(),
            },
            quality: self.quality,
            source: match self.source {
                Source::Auto => Wire::Auto.into(),
                Source::Page => Wire::Page.into(),
                Source::Window => Wire::Window.into(),
            },
            area: area.or(self.full_page.then_some(Area::FullPage(true))),
        }
    }
}

/// Where it is now, and what it is.
fn line(file: &Path, picture: &Picture, length: usize) -> String {
    let source = picture.source().as_str_name().to_lowercase();
    let cut = if picture.truncated { ", cut off" } else { "" };
    format!("{}  {} x {}  {length} bytes  from the {source}{cut}", file.display(), picture.width, picture.height)
}

/// What the name of a file says of what is in it.
fn of_name(file: &Path) -> Encoding {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if ["jpg", "jpeg"].iter().any(|jpeg| extension.eq_ignore_ascii_case(jpeg)) { Encoding::Jpeg } else { Encoding::Png }
}

fn region(text: &str) -> Result<Region, String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[x, y, width, height]) => Ok(Region { x, y, width, height }),
        Ok(_) | Err(_) => Err("four numbers are needed, such as 0,100,640,480".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_how_its_picture_is_encoded() {
        assert_eq!(of_name(Path::new("a/b.JPG")), Encoding::Jpeg);
        assert_eq!(of_name(Path::new("-")), Encoding::Png);
    }

    #[test]
    fn a_region_is_four_numbers() {
        assert_eq!(region("0, 1.5,2,3"), Ok(Region { x: 0.0, y: 1.5, width: 2.0, height: 3.0 }));
        assert!(region("1,2,3").is_err() && region("1,2,3,x").is_err());
    }
}
