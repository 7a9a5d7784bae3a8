//! Pretended cameras: each user's shows one colour, so that a picture tells whose it is.

use std::path::Path;

/// What a camera shows: as the file has it (Y, U, V) and as a screen shows it (R, G, B).
#[derive(Debug)]
struct Colour {
    yuv: [u8; 3],
    rgb: [i64; 3],
}

/// Far enough from each other that a codec cannot mistake one for another.
const COLOURS: [Colour; 4] = [
    Colour { yuv: [81, 90, 240], rgb: [254, 0, 0] },
    Colour { yuv: [145, 54, 34], rgb: [0, 255, 1] },
    Colour { yuv: [41, 240, 110], rgb: [0, 0, 255] },
    Colour { yuv: [210, 16, 146], rgb: [255, 255, 0] },
];

const WIDTH: usize = 320;
const HEIGHT: usize = 240;

/// Which colour a user has: users 1 to 4, 5 to 8, … all differ.
fn number(user: &str) -> usize {
    user.parse::<usize>().expect("a user's number") % COLOURS.len()
}

/// Writes what a user's camera shows, as the browser's pretended camera reads it (Y4M, played again and again).
pub fn write(path: &Path, user: &str) {
    let [y, u, v] = COLOURS[number(user)].yuv;
    let mut film = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 C420jpeg\n").into_bytes();
    for _ in 0..2 {
        film.extend_from_slice(b"FRAME\n");
        film.resize(film.len() + WIDTH * HEIGHT, y);
        film.resize(film.len() + WIDTH * HEIGHT / 4, u);
        film.resize(film.len() + WIDTH * HEIGHT / 4, v);
    }
    std::fs::write(path, film).expect("the camera's film");
}

/// Whether a pixel is what this user's camera shows rather than another's, or nothing.
pub fn is_of(user: &str, pixel: [i64; 3]) -> bool {
    let distance = |rgb: [i64; 3]| (0..3).map(|n| (rgb[n] - pixel[n]).pow(2)).sum::<i64>();
    let own = distance(COLOURS[number(user)].rgb);
    // Black is what a video shows before there is any.
    own < distance([0; 3]) && COLOURS.iter().all(|other| own <= distance(other.rgb))
}
