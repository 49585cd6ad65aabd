//! Parts of a window that wait to be drawn: rectangles, less and less of them.

use super::Rect;

/// Most rectangles that are told apart: past it the region is its bounding box, which only waits for more.
const PARTS_MAX: usize = 256;

/// A set of pixels.
#[derive(Debug, Default)]
pub(super) struct Region(Vec<Rect>);

impl Region {
    pub(super) fn add(&mut self, rect: Rect) {
        self.0.push(rect);
        self.bound();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a rectangle out: of each part, what lies above, below, left and right of it stays.
    pub(super) fn subtract(&mut self, hole: Rect) {
        let mut left = Vec::new();
        for part in std::mem::take(&mut self.0) {
            if part.overlaps(hole) {
                left.extend(around(part, hole));
            } else {
                left.push(part);
            }
        }
        self.0 = left;
        self.bound();
    }

    fn bound(&mut self) {
        self.0.retain(|part| part.width > 0 && part.height > 0);
        if self.0.len() > PARTS_MAX {
            let left = self.0.iter().map(|part| part.x).min().unwrap_or_default();
            let top = self.0.iter().map(|part| part.y).min().unwrap_or_default();
            let right = self.0.iter().map(|part| part.end().0).max().unwrap_or_default();
            let bottom = self.0.iter().map(|part| part.end().1).max().unwrap_or_default();
            self.0 = vec![between((i64::from(left), i64::from(top)), (right, bottom))];
        }
    }
}

/// What of a part lies around a hole that it has a pixel in common with.
fn around(part: Rect, hole: Rect) -> [Rect; 4] {
    let (left, top) = (i64::from(part.x), i64::from(part.y));
    let (right, bottom) = part.end();
    let (hole_left, hole_top) = (i64::from(hole.x).max(left), i64::from(hole.y).max(top));
    let (hole_right, hole_bottom) = (hole.end().0.min(right), hole.end().1.min(bottom));
    [
        between((left, top), (right, hole_top)),
        between((left, hole_bottom), (right, bottom)),
        between((left, hole_top), (hole_left, hole_bottom)),
        between((hole_right, hole_top), (right, hole_bottom)),
    ]
}

/// The rectangle between two corners; empty when they are none.
fn between((left, top): (i64, i64), (right, bottom): (i64, i64)) -> Rect {
    Rect {
        x: i32::try_from(left).unwrap_or_default(),
        y: i32::try_from(top).unwrap_or_default(),
        width: u32::try_from(right - left).unwrap_or_default(),
        height: u32::try_from(bottom - top).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rect(x: i32, y: i32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn a_region_is_empty_once_every_pixel_was_taken_out() {
        let mut region = Region::default();
        assert!(region.is_empty());
        region.add(rect(0, 0, 100, 100));
        region.subtract(rect(-10, -10, 120, 60));
        region.subtract(rect(200, 200, 9, 9));
        region.subtract(rect(0, 50, 50, 50));
        assert!(!region.is_empty());
        region.subtract(rect(50, 50, 50, 49));
        assert!(!region.is_empty(), "a row is left");
        region.subtract(rect(50, 99, 50, 1));
        assert!(region.is_empty());
    }

    #[test]
    fn a_hole_leaves_what_is_around_it() {
        let mut region = Region::default();
        region.add(rect(0, 0, 10, 10));
        region.subtract(rect(3, 3, 4, 4));
        let area: u32 = region.0.iter().map(|part| part.width * part.height).sum();
        assert_eq!(area, 100 - 16);
        assert!(!region.0.iter().any(|part| part.overlaps(rect(3, 3, 4, 4))));
    }

    #[test]
    fn a_region_of_very_many_parts_becomes_its_box() {
        let mut region = Region::default();
        for at in 0..300 {
            region.add(rect(at * 2, 0, 1, 1));
        }
        assert!(region.0.len() <= PARTS_MAX);
        region.subtract(rect(0, 0, 600, 1));
        assert!(region.is_empty());
    }
}
