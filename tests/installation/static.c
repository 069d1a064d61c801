/* SPDX-License-Identifier: MPL-2.0 */

/* A program that has the element in itself: nothing is loaded. */
#include <gst/gst.h>

GST_PLUGIN_STATIC_DECLARE (wmspush);

int
main (int argc, char *argv[])
{
  GstElement *element;

  gst_init (&argc, &argv);
  GST_PLUGIN_STATIC_REGISTER (wmspush);
  element = gst_element_factory_make ("wmspushsink", NULL);
  if (element == NULL)
    return 1;
  g_print ("%s\n", G_OBJECT_TYPE_NAME (element));
  gst_object_unref (element);
  return 0;
}
