// The script of a page: whoever writes the page says before it where the map is to be.

import {mount} from "./host.js";

/* global LOSSATLAS_PLACE */
// @ts-expect-error: declared by the page
mount(LOSSATLAS_PLACE);
