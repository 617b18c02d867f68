//! What a screenshot shows.

use std::io::Cursor;

use png::{Decoder, Transformations};

/// Whether the whole image has exactly one colour. A page with one word on it differs in less than a thousandth
/// of its pixels, so nothing but equality will do. Takes milliseconds: not for an async thread.
///
/// # Errors
/// When the bytes are no PNG.
pub(super) fn has_one_colour(png: &[u8]) -> Result<bool, png::DecodingError> {
    let mut decoder = Decoder::new(Cursor::new(png));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let samples = reader.output_color_type().0.samples();
    let mut first: Option<Vec<u8>> = None;
    while let Some(row) = reader.next_row()? {
        for pixel in row.data().chunks_exact(samples) {
            match &first {
                None => first = Some(pixel.to_vec()),
                Some(first) if first != pixel => return Ok(false),
                Some(_) => {}
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(differing: Option<usize>) -> Vec<u8> {
        let mut data = vec![200; 8 * 8 * 3];
        if let Some(index) = differing {
            data[index] = 201;
        }
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn one_differing_sample_is_enough() {
        assert!(has_one_colour(&image(None)).unwrap());
        assert!(!has_one_colour(&image(Some(0))).unwrap());
        assert!(!has_one_colour(&image(Some(8 * 8 * 3 - 1))).unwrap());
    }

    #[test]
    fn what_is_no_png_is_an_error() {
        assert!(has_one_colour(b"no image").is_err());
    }
}
