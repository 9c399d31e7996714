//! The label of a box: serial number, fingerprint of its key, claim; as text and as a QR code that a phone reads.

use anyhow::Context;
use image::{GrayImage, Luma};
use qrcode::{Color, EcLevel, QrCode};

use super::identity::Identity;

/// Pixels a module, and modules of the quiet zone around it.
const SCALE: u32 = 8;
const QUIET: u32 = 4;

/// What the code holds: `forecourt:1:SERIAL:FINGERPRINT:CLAIM`.
pub fn payload(serial: &str, identity: &Identity) -> String {
    format!("forecourt:1:{serial}:{}:{}", identity.fingerprint(), identity.claim)
}

/// For people, and for printers of text.
pub fn text(serial: &str, identity: &Identity) -> String {
    let fingerprint = identity.fingerprint();
    let (start, claim) = (&fingerprint[..16], &identity.claim);
    format!("forecourt\nserial  {serial}\nkey     {start}\nclaim   {claim}\n")
}

/// The code as a picture.
///
/// # Errors
/// When the text is too long for a code.
pub fn picture(payload: &str) -> anyhow::Result<GrayImage> {
    let code =
        QrCode::with_error_correction_level(payload, EcLevel::M).context("the label is too long for a QR code")?;
    let width = u32::try_from(code.width())?;
    let side = (width + 2 * QUIET) * SCALE;
    let modules = code.to_colors();
    let dark = |x: u32, y: u32| {
        let inside = (QUIET..QUIET + width).contains(&x) && (QUIET..QUIET + width).contains(&y);
        inside && modules[((y - QUIET) * width + (x - QUIET)) as usize] == Color::Dark
    };
    Ok(GrayImage::from_fn(side, side, |x, y| Luma([if dark(x / SCALE, y / SCALE) { 0 } else { 255 }])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_quiet_zone_and_the_three_corners_of_a_code() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::of(folder.path()).unwrap();
        let payload = payload("10000000abcdef01", &identity);
        assert_eq!(payload.split(':').count(), 5);
        let picture = picture(&payload).unwrap();
        let (side, edge) = (picture.width(), QUIET * SCALE);
        assert_eq!(picture.get_pixel(edge - 1, edge - 1).0, [255]);
        for (x, y) in [(edge, edge), (side - edge - 1, edge), (edge, side - edge - 1)] {
            assert_eq!(picture.get_pixel(x, y).0, [0], "{x},{y}");
        }
        assert!(text("1", &identity).contains(&identity.claim));
    }
}
