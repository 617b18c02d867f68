//! What a screenshot shows.

use std::io::Cursor;

use png::{Decoder, Transformations};
use serde::Deserialize;

/// A part of the view, in CSS pixels.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Rectangle {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rectangle {
    pub(super) fn area(self) -> f64 {
        self.width * self.height
    }

    /// Whether a pixel is inside, with a margin for borders. `scale` is how many pixels there are for one of CSS.
    fn holds(self, column: u32, row: u32, scale: f64) -> bool {
        const MARGIN: f64 = 4.0;
        let (x, y) = (f64::from(column) / scale, f64::from(row) / scale);
        x >= self.left + MARGIN
            && x < self.left + self.width - MARGIN
            && y >= self.top + MARGIN
            && y < self.top + self.height - MARGIN
    }
}

/// Whether the image, and each of these parts of it, has exactly one colour. A page with one word on it differs in
/// less than a thousandth of its pixels, so nothing but equality will do. Takes milliseconds: not for an async
/// thread. The parts are of a view so many CSS pixels wide.
///
/// # Errors
/// When the bytes are no PNG.
pub(super) fn one_coloured(
    png: &[u8],
    parts: &[Rectangle],
    view_width: f64,
) -> Result<(bool, Vec<Empty>), png::DecodingError> {
    let mut decoder = Decoder::new(Cursor::new(png));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let samples = reader.output_color_type().0.samples();
    let scale = f64::from(reader.info().width) / view_width;
    let mut whole = OneColour::default();
    let mut colours = vec![OneColour::default(); parts.len()];
    for row_number in 0.. {
        let Some(row) = reader.next_row()? else { break };
        for (column, pixel) in (0..).zip(row.data().chunks_exact(samples)) {
            whole.see(pixel);
            for (part, colour) in parts.iter().zip(&mut colours) {
                if !colour.differs && part.holds(column, row_number, scale) {
                    colour.see(pixel);
                }
            }
        }
        if whole.differs && colours.iter().all(|colour| colour.differs) {
            break;
        }
    }
    Ok((!whole.differs, colours.iter().map(OneColour::verdict).collect()))
}

/// What is drawn anew in part is rounded another way at its edges: how far apart two samples may be there, how far at once
/// many may be, and how many samples are few.
const EDGE_NOISE: u8 = 64;
const NOISE: u8 = 8;
const FEW_SAMPLES: usize = 600;

/// Whether two images show the same. Takes milliseconds where they differ: not for an async thread.
///
/// # Errors
/// When the bytes are no PNG.
pub(super) fn alike(one: &[u8], other: &[u8]) -> Result<bool, png::DecodingError> {
    if one == other {
        return Ok(true);
    }
    let (one, other) = (samples(one)?, samples(other)?);
    let apart = one.iter().zip(&other).map(|(one, other)| one.abs_diff(*other));
    let at_edges = apart.clone().filter(|apart| *apart > NOISE).count();
    Ok(one.len() == other.len() && at_edges <= FEW_SAMPLES && apart.max().unwrap_or_default() <= EDGE_NOISE)
}

/// All of an image, eight bits each.
fn samples(png: &[u8]) -> Result<Vec<u8>, png::DecodingError> {
    let mut decoder = Decoder::new(Cursor::new(png));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let mut samples = Vec::new();
    while let Some(row) = reader.next_row()? {
        samples.extend_from_slice(row.data());
    }
    Ok(samples)
}

/// What is in a part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// More than one colour.
    No,
    /// One colour, and somebody has chosen it: a swatch, a mixed paint.
    Coloured,
    /// Nothing: white, black or a grey.
    Yes,
}

/// How far apart the samples of a colour are that is not a grey, nor a tinted background.
const CHROMA_MIN: u8 = 60;

#[derive(Clone, Default)]
struct OneColour {
    first: Option<Vec<u8>>,
    differs: bool,
}

impl OneColour {
    fn verdict(&self) -> Empty {
        let Some(colour) = self.first.as_ref().filter(|_| !self.differs) else {
            return if self.differs { Empty::No } else { Empty::Yes };
        };
        let samples = colour.iter().take(3);
        let (low, high) = (samples.clone().min(), samples.max());
        let chroma = high.copied().unwrap_or_default() - low.copied().unwrap_or_default();
        if chroma >= CHROMA_MIN { Empty::Coloured } else { Empty::Yes }
    }

    fn see(&mut self, pixel: &[u8]) {
        match &self.first {
            _ if self.differs => {}
            None => self.first = Some(pixel.to_vec()),
            Some(first) => self.differs = first != pixel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 20;

    fn image(differing: Option<usize>) -> Vec<u8> {
        let mut data = vec![200; SIDE * SIDE * 3];
        if let Some(index) = differing {
            data[index] = 201;
        }
        png_of(&data)
    }

    fn png_of(data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 20, 20);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn one_differing_sample_is_enough() {
        let whole = |differing| one_coloured(&image(differing), &[], 20.0).unwrap().0;
        assert!(whole(None));
        assert!(!whole(Some(0)));
        assert!(!whole(Some(SIDE * SIDE * 3 - 1)));
    }

    #[test]
    fn a_part_is_looked_at_without_its_border() {
        let part = Rectangle { left: 2.0, top: 2.0, width: 14.0, height: 14.0 };
        let at = |column: usize, row: usize| {
            let png = image(Some((row * SIDE + column) * 3));
            one_coloured(&png, &[part], 20.0).unwrap().1[0] == Empty::Yes
        };
        assert!(at(3, 3), "its border");
        assert!(at(19, 19), "outside");
        assert!(!at(6, 6), "inside");
    }

    #[test]
    fn a_part_is_where_it_is_in_an_image_of_two_pixels_for_one() {
        // Ten CSS pixels wide: pixel 13, 13 is inside, and would be outside by its own number.
        let part = Rectangle { left: 0.0, top: 0.0, width: 12.0, height: 12.0 };
        let png = image(Some((13 * SIDE + 13) * 3));
        assert!(one_coloured(&png, &[part], 10.0).unwrap().1[0] == Empty::No);
        assert!(one_coloured(&png, &[part], 20.0).unwrap().1[0] == Empty::Yes);
    }

    #[test]
    fn a_chosen_colour_is_told_from_nothing() {
        let verdict = |colour: [u8; 3]| {
            let colours = OneColour { first: Some(colour.to_vec()), differs: false };
            colours.verdict()
        };
        assert_eq!(verdict([200, 80, 60]), Empty::Coloured);
        assert_eq!([[0; 3], [255; 3], [16, 20, 40]].map(verdict), [Empty::Yes; 3]);
    }

    #[test]
    fn images_that_differ_by_less_than_an_eye_sees_are_alike() {
        let of = |sample: u8| {
            let mut data = vec![200; SIDE * SIDE * 3];
            data[7] = sample;
            png_of(&data)
        };
        assert!(alike(&of(200), &of(200)).unwrap());
        assert!(alike(&of(200), &of(240)).unwrap());
        assert!(!alike(&of(200), &of(100)).unwrap());
        assert!(alike(&of(200), b"no image").is_err());
    }

    #[test]
    fn what_is_no_png_is_an_error() {
        assert!(one_coloured(b"no image", &[], 20.0).is_err());
    }
}
