//! Divides an area among windows: rows and columns without a gap or an overlap.

use super::Rect;

/// How wide a page is for its height where both are free: that of most pages' design.
const SHAPE: f64 = 4.0 / 3.0;

/// How small the windows can be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Smallest {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// A cell for each of `count` windows, row by row. Cells are as large as the windows need while the area has the room;
/// where it has not, windows that cannot be made small enough will overlap.
pub(super) fn cells(area: Rect, count: u32, smallest: Smallest) -> Vec<Rect> {
    let best = (1..=count).max_by(|a, b| worth(area, count, *a, smallest).total_cmp(&worth(area, count, *b, smallest)));
    let Some(columns) = best else { return Vec::new() };
    let rows = count.div_ceil(columns);
    let mut cells = Vec::new();
    for row in 0..rows {
        // The last row has what is left, as wide as the area.
        let here = columns.min(count - row * columns);
        let (top, bottom) = (share(area.height, row, rows), share(area.height, row + 1, rows));
        for column in 0..here {
            let (left, right) = (share(area.width, column, here), share(area.width, column + 1, here));
            cells.push(Rect {
                x: area.x.saturating_add_unsigned(left),
                y: area.y.saturating_add_unsigned(top),
                width: right - left,
                height: bottom - top,
            });
        }
    }
    cells
}

/// Where the `nth` of so many equal parts begins.
fn share(length: u32, nth: u32, of: u32) -> u32 {
    let at = u64::from(length) * u64::from(nth) / u64::from(of);
    u32::try_from(at).unwrap_or(length)
}

/// How good so many columns are: what fits before what does not, then the better shape.
fn worth(area: Rect, count: u32, columns: u32, smallest: Smallest) -> f64 {
    let (width, height) =
        (f64::from(area.width) / f64::from(columns), f64::from(area.height) / f64::from(count.div_ceil(columns)));
    let room = (width / f64::from(smallest.width.max(1))).min(height / f64::from(smallest.height.max(1)));
    let shape = (width / height.max(1.0)) / SHAPE;
    let shape = shape.min(1.0 / shape);
    // A shape is worth at most 1, so that room goes first.
    if room >= 1.0 { 2.0 + shape } else { room }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Rect = Rect { x: 10, y: -5, width: 1600, height: 1100 };

    fn area(rect: Rect) -> u64 {
        u64::from(rect.width) * u64::from(rect.height)
    }

    #[test]
    fn cells_cover_the_area_and_never_overlap() {
        for count in 1..40 {
            let cells = cells(SCREEN, count, Smallest::default());
            assert_eq!(cells.len(), count as usize);
            assert_eq!(cells.iter().copied().map(area).sum::<u64>(), area(SCREEN), "{count}");
            for (nth, cell) in cells.iter().enumerate() {
                assert!(cells[nth + 1..].iter().all(|other| !cell.overlaps(*other)), "{count}: {cells:?}");
            }
        }
    }

    #[test]
    fn six_windows_stand_in_two_rows_of_three() {
        let cells = cells(SCREEN, 6, Smallest::default());
        assert_eq!(cells[0], Rect { x: 10, y: -5, width: 533, height: 550 });
        assert_eq!(cells[5], Rect { x: 10 + 1066, y: 545, width: 534, height: 550 });
    }

    #[test]
    fn windows_that_cannot_be_narrow_get_fewer_columns() {
        let smallest = Smallest { width: 700, height: 100 };
        let cells = cells(SCREEN, 6, smallest);
        assert!(cells.iter().all(|cell| cell.width >= 700 && cell.height >= 100), "{cells:?}");
    }

    #[test]
    fn an_area_of_nothing_and_no_windows_are_no_trouble() {
        assert!(cells(SCREEN, 0, Smallest::default()).is_empty());
        assert_eq!(cells(Rect::default(), 3, Smallest { width: 9, height: 9 }).len(), 3);
    }
}
